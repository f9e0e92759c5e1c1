package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// diskMeasurer is what system df needs of the engine.
type diskMeasurer interface {
	DiskUsage(ctx context.Context) (*engine.DiskUsage, error)
}

type dfFlags struct {
	format  string
	verbose bool
}

func newSystemDfCommand(app *App) *cobra.Command {
	var opts dfFlags
	cmd := withStore(&cobra.Command{
		Use:   "df [options]",
		Short: "Show what vpod's data takes of the disk",
		Long:  "Shows what images, containers, the disks made from images, and machine templates take of the disk, and what could be had back.",
		Example: `  vpod system df
  vpod system df --verbose
  vpod system df --format "{{.Type}} {{.Size}}"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.systemDf(cmd.Context(), opts)
		},
	})
	app.lazily(cmd, func() {
		cmd.Flags().StringVar(&opts.format, "format", "", "Print in this `format`: json, or a Go template")
		cmd.Flags().BoolVarP(&opts.verbose, "verbose", "v", false, "Show each image, container, disk and template")
		completeFlag(cmd, "format", fixedWords("json", "table"))
	})
	return cmd
}

func (app *App) systemDf(ctx context.Context, f dfFlags) error {
	if f.verbose && f.format != "" {
		return errors.New("cannot combine --format and --verbose flags")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	usage, err := eng.DiskUsage(ctx)
	if err != nil {
		return err
	}
	if f.verbose {
		return app.writeDfDetails(usage)
	}
	rows := dfSummary(usage)
	if strings.TrimSpace(f.format) == "json" {
		return writeJSON(app.Stdout, rows)
	}
	t := table{name: "df", columns: `{{range .}}{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}` + "\n{{end -}}"}
	if f.format != "" && f.format != "table" {
		t.format = f.format
	}
	return t.write(app.Stdout, rows, struct{ Type, Total, Active, Size, Reclaimable, RawSize, RawReclaimable, TotalCount string }{})
}

// dfRow is one kind of data, as templates see it; the names are Podman's. Sizes
// are bytes.
type dfRow struct {
	Type           string
	Total, Active  int
	RawSize        int64
	RawReclaimable int64
}

func (r dfRow) TotalCount() int { return r.Total }
func (r dfRow) Size() string    { return units.HumanSize(float64(r.RawSize)) }

func (r dfRow) Reclaimable() string {
	percent := 0
	if r.RawSize > 0 {
		percent = int(float64(r.RawReclaimable) / float64(r.RawSize) * 100)
	}
	return fmt.Sprintf("%s (%d%%)", units.HumanSize(float64(r.RawReclaimable)), percent)
}

// MarshalJSON adds what the methods say.
func (r dfRow) MarshalJSON() ([]byte, error) {
	type plain dfRow
	return json.Marshal(struct {
		plain
		TotalCount        int
		Size, Reclaimable string
	}{plain(r), r.TotalCount(), r.Size(), r.Reclaimable()})
}

// add counts one thing, which is in use or could go.
func (r *dfRow) add(bytes int64, active bool) {
	r.Total++
	r.RawSize += bytes
	if active {
		r.Active++
	} else {
		r.RawReclaimable += bytes
	}
}

// dfSummary adds up what data takes, by its kind. Templates are made again when
// they are needed, so all of them could go.
func dfSummary(u *engine.DiskUsage) []dfRow {
	images, containers, disks, templates := dfRow{Type: "Images"}, dfRow{Type: "Containers"}, dfRow{Type: "Image Disks"}, dfRow{Type: "Machine Templates"}
	for _, i := range u.Images.Images {
		images.add(0, i.Containers > 0)
	}
	images.RawSize, images.RawReclaimable = u.Images.TotalBytes, u.Images.ReclaimableBytes
	for _, c := range u.Containers {
		containers.add(writable(c), c.Running())
	}
	for _, d := range u.Disks {
		disks.add(d.SizeBytes, d.Containers > 0)
	}
	for _, t := range u.Templates {
		templates.add(t.DiskBytes, false)
	}
	return []dfRow{images, containers, disks, templates}
}

// writable is what a container's own disk takes.
func writable(c engine.Listed) int64 {
	if c.Size == nil {
		return 0
	}
	return c.Size.Writable
}

// since is how long ago something was, without the word "ago", as Podman's df has it.
func since(now, t time.Time) string { return units.HumanDuration(now.Sub(t)) }

// What the tables of system df --verbose show.
type (
	dfImage struct {
		Repository, Tag, ImageID, Created string
		Size, SharedSize, UniqueSize      string
		Containers                        int
	}
	dfContainer struct{ ContainerID, Image, Command, Size, Created, Status, Names string }
	dfDisk      struct {
		ImageID, Image, Size, Created string
		Containers                    int
	}
	dfTemplate struct{ Key, Board, Accel, Network, Size, Created, Used string }
)

// writeDfDetails prints a table of each kind of data.
func (app *App) writeDfDetails(u *engine.DiskUsage) error {
	now := app.Now()
	human := func(bytes int64) string { return units.HumanSize(float64(bytes)) }
	var images []dfImage
	for _, i := range u.Images.Images {
		row := dfImage{
			Repository: noName, Tag: noName, ImageID: shortID(i.ID), Created: since(now, i.Created), Containers: i.Containers,
			Size: human(i.SharedBytes + i.UniqueBytes), SharedSize: human(i.SharedBytes), UniqueSize: human(i.UniqueBytes),
		}
		if len(i.Names) == 0 {
			images = append(images, row)
		}
		for _, name := range i.Names {
			row.Repository, row.Tag = splitName(name)
			images = append(images, row)
		}
	}
	var containers []dfContainer
	for _, c := range u.Containers {
		containers = append(containers, dfContainer{
			ContainerID: shortID(c.Spec.ID), Image: c.Spec.Image.Name, Size: human(writable(c)), Created: since(now, c.Spec.Created),
			Command: oneLine(strings.Join(slices.Concat(c.Spec.Process.Entrypoint, c.Spec.Process.Command), " ")), Status: c.ShownState(), Names: c.Spec.Name,
		})
	}
	var disks []dfDisk
	for _, d := range u.Disks {
		name := noName
		if len(d.Names) > 0 {
			name = d.Names[0]
		}
		disks = append(disks, dfDisk{ImageID: shortID(d.ImageID), Image: name, Size: human(d.SizeBytes), Created: since(now, d.Made), Containers: d.Containers})
	}
	var templates []dfTemplate
	for _, t := range u.Templates {
		templates = append(templates, dfTemplate{Key: shortID(t.Key), Board: t.Board, Accel: t.Accel, Network: t.Network, Size: human(t.DiskBytes), Created: since(now, t.Made), Used: since(now, t.Used)})
	}
	headings := map[string]string{"ImageID": "image id", "ContainerID": "container id", "SharedSize": "shared size", "UniqueSize": "unique size"}
	for _, section := range []struct {
		title, columns string
		rows, sample   any
	}{
		{"Images", `{{.Repository}}\t{{.Tag}}\t{{.ImageID}}\t{{.Created}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}`, images, dfImage{}},
		{"Containers", `{{.ContainerID}}\t{{.Image}}\t{{.Command}}\t{{.Size}}\t{{.Created}}\t{{.Status}}\t{{.Names}}`, containers, dfContainer{}},
		{"Image disks", `{{.ImageID}}\t{{.Image}}\t{{.Size}}\t{{.Created}}\t{{.Containers}}`, disks, dfDisk{}},
		{"Machine templates", `{{.Key}}\t{{.Board}}\t{{.Accel}}\t{{.Network}}\t{{.Size}}\t{{.Created}}\t{{.Used}}`, templates, dfTemplate{}},
	} {
		if section.title != "Images" {
			fmt.Fprintln(app.Stdout)
		}
		fmt.Fprintf(app.Stdout, "%s space usage:\n\n", section.title)
		t := table{name: "df", columns: "{{range .}}" + section.columns + "\n{{end -}}", headings: headings}
		if err := t.write(app.Stdout, section.rows, section.sample); err != nil {
			return err
		}
	}
	return nil
}
