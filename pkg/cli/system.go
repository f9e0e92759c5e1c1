package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// systemPruner is what system prune needs of the engine besides containers and images.
type systemPruner interface {
	PruneDisks(ctx context.Context) ([]engine.ImageDisk, error)
	PruneTemplates(ctx context.Context) ([]engine.Template, error)
}

// newSystemCommand holds what is about vpod as a whole.
func newSystemCommand(app *App) *cobra.Command {
	return newGroup("system", "Manage vpod",
		newSystemDfCommand(app),
		newSystemPruneCommand(app),
		newGroup("template", "Manage the templates machines start from",
			newTemplateBuildCommand(app),
			newTemplateListCommand(app),
			newTemplateRmCommand(app),
		),
	)
}

func newSystemPruneCommand(app *App) *cobra.Command {
	var opts imagePruneFlags
	cmd := withStore(&cobra.Command{
		Use:   "prune [options]",
		Short: "Remove unused data",
		Long:  "Removes containers that do not run, images without a name, disks of images that are gone, and the templates machines start from, which are made again when they are needed.",
		Example: `  vpod system prune
  vpod system prune --all --force`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.pruneSystem(cmd.Context(), opts)
		},
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd, "containers and images")
	})
	return cmd
}

// pruneWarning says what is going to be removed. Templates have no labels and no
// age that a filter could mean.
func pruneWarning(f imagePruneFlags) string {
	parts := []string{"all stopped containers", "all dangling images", "all disks of images that are gone"}
	if f.all {
		parts[1] = "all images without at least one container associated with them"
	}
	if len(f.filters) == 0 {
		parts = append(parts, "all machine templates")
	}
	return "This command removes:\n\t- " + strings.Join(parts, "\n\t- ") + "\n"
}

func (app *App) pruneSystem(ctx context.Context, f imagePruneFlags) error {
	if !f.force {
		if yes, err := app.confirm(ctx, pruneWarning(f)); err != nil || !yes {
			return err
		}
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	var reclaimed int64
	var errs []error
	// show prints what is gone below a heading.
	show := func(heading string, gone []string) {
		if len(gone) > 0 {
			fmt.Fprintf(app.Stdout, "Deleted %s\n%s\n", heading, strings.Join(gone, "\n"))
		}
	}

	stopped, err := stoppedContainers(ctx, eng, engine.ListOptions{All: true, Filters: f.filters, Size: true})
	if err != nil {
		return err
	}
	if len(stopped) > 0 {
		sizes := map[string]int64{}
		for _, c := range stopped {
			if c.Size != nil {
				sizes[c.Spec.ID] = c.Size.Writable
			}
		}
		var gone []string
		for _, r := range removeContainers(ctx, eng, stopped) {
			if r.Err != nil {
				errs = append(errs, r.Err)
				continue
			}
			gone = append(gone, r.ID)
			reclaimed += sizes[r.ID]
		}
		show("Containers", gone)
	}

	images, err := unusedImages(ctx, eng, f)
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	for _, img := range images {
		sizes[img.ID] = img.SizeBytes
	}
	removed, imageErrs := removeImages(ctx, eng, images, f)
	errs = append(errs, imageErrs...)
	var gone []string
	for _, r := range removed {
		gone = append(gone, r.ID)
		reclaimed += sizes[r.ID] + r.DiskBytes
	}
	show("Images", gone)

	disks, err := eng.PruneDisks(ctx)
	errs = append(errs, joined(err)...)
	gone = nil
	for _, d := range disks {
		gone = append(gone, d.ImageID)
		reclaimed += d.SizeBytes
	}
	show("Image Disks", gone)

	if len(f.filters) == 0 {
		templates, err := eng.PruneTemplates(ctx)
		errs = append(errs, joined(err)...)
		gone = nil
		for _, t := range templates {
			gone = append(gone, t.Key)
			reclaimed += t.DiskBytes
		}
		show("Machine Templates", gone)
	}
	fmt.Fprintf(app.Stdout, "Total reclaimed space: %s\n", units.HumanSize(float64(reclaimed)))
	return app.printErrors(ctx, errs, ownFailure)
}
