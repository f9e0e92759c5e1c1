package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// searcher is what search needs of the engine.
type searcher interface {
	SearchImages(ctx context.Context, term string, opts engine.SearchOptions) ([]engine.FoundImage, error)
}

type searchFlags struct {
	accessFlags
	retryFlags
	compatible bool
	filters    []string
	format     string
	limit      int
	listTags   bool
	noTrunc    bool
}

func (f *searchFlags) addFlags(flags *pflag.FlagSet) {
	f.accessFlags.addFlags(flags)
	f.retryFlags.addFlags(flags)
	flags.BoolVar(&f.compatible, "compatible", false, "Show stars and what is official or automated, too")
	flags.StringSliceVarP(&f.filters, "filter", "f", nil, "Show only images this `condition` holds for: stars=, is-official, is-automated")
	flags.StringVar(&f.format, "format", "", "Print in this `format`: json, or a Go template")
	flags.IntVar(&f.limit, "limit", 0, "Show at most this `number` of images of each registry")
	flags.BoolVar(&f.listTags, "list-tags", false, "Show the tags of a repository")
	flags.BoolVar(&f.noTrunc, "no-trunc", false, "Print whole descriptions")
}

func newSearchCommand(app *App) *cobra.Command {
	var opts searchFlags
	cmd := withStore(&cobra.Command{
		Use:   "search [options] TERM",
		Short: "Search registries for images",
		Long:  "Looks for images whose name or description has a term, on the registry it begins with, or on those that registries.conf names for short names.",
		Example: `  vpod search registry.example/app
  vpod search --list-tags registry.example/team/app
  vpod search --filter is-official --limit 5 alpine`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.search(cmd.Context(), &opts, args[0])
		},
		ValidArgsFunction: noWords,
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "filter", keyWords("stars=", "is-official", "is-automated"))
		completeFlag(cmd, "format", fixedWords("json"))
		for _, flag := range []string{"creds", "retry", "retry-delay", "limit"} {
			completeFlag(cmd, flag, noWords)
		}
	})
	return cmd
}

// searchRow is what a Go template and the table see of an image that was found.
type searchRow struct {
	Index, Name, Description, Official, Automated, Tag string
	Stars                                              int
}

// taggedRepository is a repository with its tags, as JSON.
type taggedRepository struct {
	Name string
	Tags []string
}

func (app *App) search(ctx context.Context, f *searchFlags, term string) error {
	opts := engine.SearchOptions{Retry: f.retryFlags.get(), Filters: f.filters, Limit: f.limit, ListTags: f.listTags, NoTrunc: f.noTrunc}
	var err error
	if opts.Access, err = f.accessFlags.get(); err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	found, err := eng.SearchImages(ctx, term, opts)
	if err != nil {
		return err
	}
	rows := make([]searchRow, 0, len(found))
	for _, r := range found { // with the registry's texts
		rows = append(rows, searchRow{
			Index: printable(r.Index), Name: printable(r.Name), Description: printable(r.Description), Stars: r.Stars,
			Official: r.Official, Automated: r.Automated, Tag: printable(r.Tag),
		})
	}
	switch {
	case isJSON(f.format) && f.listTags:
		return writeJSON(app.Stdout, tagged(rows))
	case isJSON(f.format):
		return writeJSON(app.Stdout, rows)
	case len(rows) == 0 && f.format == "":
		return nil
	}
	t := table{name: "search", columns: searchColumns(f.listTags, f.compatible), format: f.format}
	return t.write(app.Stdout, rows, searchRow{})
}

// searchColumns is the default template.
func searchColumns(listTags, compatible bool) string {
	switch {
	case listTags:
		return `{{range .}}{{.Name}}\t{{.Tag}}\n{{end -}}`
	case compatible:
		return `{{range .}}{{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}\n{{end -}}`
	}
	return `{{range .}}{{.Name}}\t{{.Description}}\n{{end -}}`
}

// tagged collects the tags of each repository.
func tagged(rows []searchRow) []taggedRepository {
	out := []taggedRepository{}
	for _, r := range rows {
		i := slices.IndexFunc(out, func(t taggedRepository) bool { return t.Name == r.Name })
		if i < 0 {
			i = len(out)
			out = append(out, taggedRepository{Name: r.Name})
		}
		out[i].Tags = append(out[i].Tags, r.Tag)
	}
	return out
}
