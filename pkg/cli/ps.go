package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// lister is what ps needs of the engine.
type lister interface {
	List(ctx context.Context, opts engine.ListOptions) ([]engine.Listed, error)
}

type psFlags struct {
	all       bool
	filters   []string
	format    string
	last      int
	latest    bool
	noTrunc   bool
	noHeading bool
	quiet     bool
	size      bool
	sort      string
}

func (f *psFlags) addFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.all, "all", "a", false, "Show containers in every state, not only those that run")
	flags.StringSliceVarP(&f.filters, "filter", "f", nil, "Show only containers this `condition` holds for, as status=exited")
	flags.StringVar(&f.format, "format", "", "Print in this `format`: json, or a Go template")
	flags.IntVarP(&f.last, "last", "n", -1, "Show the last `n` containers created, in any state")
	flags.BoolVarP(&f.latest, "latest", "l", false, "Show the container created last, in any state")
	flags.BoolVar(&f.noTrunc, "no-trunc", false, "Print whole ids and commands")
	flags.BoolVar(&f.noHeading, "noheading", false, "Print no headings")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Print only ids")
	flags.BoolVarP(&f.size, "size", "s", false, "Show what the containers occupy on disk")
	f.sort = "created" // Podman lists the oldest first
	flags.Var(newChoice(&f.sort, psSortKeys...), "sort", "Sort by this `column`, ascending (default created): "+strings.Join(psSortKeys, ", "))
}

func newPsCommand(app *App, name string, aliases ...string) *cobra.Command {
	var opts psFlags
	cmd := &cobra.Command{
		Use:     name + " [options]",
		Aliases: aliases,
		Short:   "List containers",
		Long:    "Lists containers in their true state: one is shown as running only while its machine is there.",
		Example: `  vpod ps --all
  vpod ps --filter label=tier=web --format "{{.ID}} {{.Names}}"
  vpod ps --all --size --sort size`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.ps(cmd.Context(), &opts)
		},
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "filter", app.containerFilterWords)
		completeFlag(cmd, "format", fixedWords("json", "table"))
		completeFlag(cmd, "sort", fixedWords(psSortKeys...))
		completeFlag(cmd, "last", noWords)
	})
	return cmd
}

// check refuses options that contradict each other.
func (f *psFlags) check() error {
	switch {
	case f.last >= 0 && f.latest:
		return errors.New("--last and --latest are mutually exclusive")
	case f.last < -1:
		return fmt.Errorf("--last %d: give a number of containers", f.last)
	case f.quiet && f.size:
		return errors.New("--quiet and --size cannot be used together: ids alone are printed")
	}
	return nil
}

func (app *App) ps(ctx context.Context, f *psFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	opts := engine.ListOptions{
		All:     f.all || f.latest || f.last >= 0 || hasStatusFilter(f.filters),
		Latest:  f.latest,
		Last:    max(f.last, 0),
		Filters: f.filters,
		Size:    f.size || strings.Contains(f.format, ".Size") || f.sort == "size",
	}
	var list []engine.Listed
	if f.last != 0 {
		if list, err = eng.List(ctx, opts); err != nil {
			return err
		}
	}
	rows := newPsRows(list, app.Now(), f.noTrunc)
	sortPsRows(rows, f.sort)
	switch {
	case f.quiet && !isJSON(f.format):
		for _, r := range rows {
			fmt.Fprintln(app.Stdout, r.ID())
		}
		return nil
	case isJSON(f.format):
		return writeJSON(app.Stdout, psJSON(rows))
	}
	t := table{name: "ps", columns: psColumns(f.size), headings: psHeadings, noHeading: f.noHeading}
	if f.format != "" && f.format != "table" {
		t.format = f.format
	}
	return t.write(app.Stdout, rows, psRow{})
}

// hasStatusFilter reports whether the user asks for states, which then decide
// alone whether a container that does not run is shown.
func hasStatusFilter(filters []string) bool {
	for _, f := range filters {
		key, _, _ := strings.Cut(f, "=")
		if key == "status" || key == "exited" {
			return true
		}
	}
	return false
}
