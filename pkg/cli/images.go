package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// imageLister is what images needs of the engine.
type imageLister interface {
	Images(ctx context.Context, reference string, filters []string, all bool) ([]engine.ImageSummary, error)
	ImageExists(ctx context.Context, name string) (bool, error)
}

type imagesFlags struct {
	all       bool
	digests   bool
	filters   []string
	format    string
	history   bool
	noTrunc   bool
	noHeading bool
	quiet     bool
	sort      string
}

func (f *imagesFlags) addFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.all, "all", "a", false, "Show images without a name that others build on, too")
	flags.BoolVar(&f.digests, "digests", false, "Show digests")
	flags.StringSliceVarP(&f.filters, "filter", "f", nil, "Show only images this `condition` holds for, as dangling=true")
	flags.StringVar(&f.format, "format", "", "Print in this `format`: json, or a Go template")
	flags.BoolVar(&f.history, "history", false, "Show all names that images have or had")
	flags.BoolVar(&f.noTrunc, "no-trunc", false, "Print whole ids")
	flags.BoolVarP(&f.noHeading, "noheading", "n", false, "Print no headings")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Print only ids")
	f.sort = "created"
	flags.Var(newChoice(&f.sort, imageSortKeys...), "sort", "Sort by this `column`: "+strings.Join(imageSortKeys, ", "))
}

// newImagesCommand is `vpod images`.
func newImagesCommand(app *App) *cobra.Command { return newImageListCommand(app, "images") }

func newImageListCommand(app *App, name string, aliases ...string) *cobra.Command {
	var opts imagesFlags
	cmd := withStore(&cobra.Command{
		Use:     name + " [options] [IMAGE]",
		Aliases: aliases,
		Short:   "List images in the local store",
		Long:    "Lists the images of the store that vpod shares with Podman and Buildah, one line for each name.",
		Example: `  vpod images
  vpod images --filter dangling=true --quiet
  vpod images --sort size --format "{{.Repository}}:{{.Tag}} {{.Size}}"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.images(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "filter", keyWords("dangling=", "label=", "reference=", "before=", "since=", "until=", "id=", "digest=", "intermediate=", "manifest=", "readonly=", "containers="))
		completeFlag(cmd, "format", fixedWords("json", "table"))
		completeFlag(cmd, "sort", fixedWords(imageSortKeys...))
	})
	return cmd
}

func (app *App) images(ctx context.Context, f *imagesFlags, args []string) error {
	if f.quiet && f.format != "" && !isJSON(f.format) {
		return errors.New("--quiet and --format cannot be used together: ids alone are printed")
	}
	reference := ""
	if len(args) > 0 {
		reference = args[0]
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	list, err := eng.Images(ctx, reference, f.filters, f.all)
	if err != nil {
		return err
	}
	users := map[string]int{}
	if isJSON(f.format) || strings.Contains(f.format, ".Containers") {
		if users, err = imageUsers(ctx, eng); err != nil {
			return err
		}
	}
	if isJSON(f.format) {
		return writeJSON(app.Stdout, imagesJSON(list, users, f.sort))
	}
	rows := newImageRows(list, users, app.Now(), f.noTrunc)
	sortImageRows(rows, f.sort)
	if f.quiet {
		printed := map[string]bool{}
		for _, r := range rows {
			if !printed[r.entry.ID] {
				fmt.Fprintln(app.Stdout, r.ID())
			}
			printed[r.entry.ID] = true
		}
		return nil
	}
	t := table{name: "images", columns: imageColumns(f.digests, f.history, anyReadOnly(list)), headings: imageHeadings, noHeading: f.noHeading}
	if f.format != "" && f.format != "table" {
		t.format = f.format
	}
	return t.write(app.Stdout, rows, imageHeadingFields{})
}

// anyReadOnly reports whether one of the images lies in an additional store.
func anyReadOnly(list []engine.ImageSummary) bool {
	return slices.ContainsFunc(list, func(s engine.ImageSummary) bool { return s.ReadOnly })
}

// imageUsers counts the containers of each image.
func imageUsers(ctx context.Context, eng lister) (map[string]int, error) {
	list, err := eng.List(ctx, engine.ListOptions{All: true})
	if err != nil {
		return nil, err
	}
	users := map[string]int{}
	for _, c := range list {
		users[c.Spec.Image.ID]++
	}
	return users, nil
}
