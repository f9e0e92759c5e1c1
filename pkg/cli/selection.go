package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// selectionFlags pick the containers that a verb works on.
type selectionFlags struct {
	all      bool
	latest   bool
	ignore   bool
	filters  []string
	cidFiles []string
}

// selectionOption is a set of the options a verb has, and of their short forms.
type selectionOption uint

const (
	selectAll selectionOption = 1 << iota
	selectLatest
	selectFilter
	selectCIDFile
	selectIgnore
	shortAll    // -a is --all
	shortFilter // -f is --filter
)

// addFlags adds the options of the set; verb begins their help, as "Stop".
func (f *selectionFlags) addFlags(flags *pflag.FlagSet, verb string, set selectionOption) {
	short := func(letter string, have selectionOption) string {
		if set&have == 0 {
			return ""
		}
		return letter
	}
	if set&selectAll != 0 {
		flags.BoolVarP(&f.all, "all", short("a", shortAll), false, verb+" all containers")
	}
	if set&selectLatest != 0 {
		flags.BoolVarP(&f.latest, "latest", "l", false, verb+" the container created last")
	}
	if set&selectFilter != 0 {
		flags.StringSliceVarP(&f.filters, "filter", short("f", shortFilter), nil, verb+" the containers this `condition` holds for, as status=exited")
	}
	if set&selectCIDFile != 0 {
		flags.StringArrayVar(&f.cidFiles, "cidfile", nil, verb+" the container whose id this `file` holds")
	}
	if set&selectIgnore != 0 {
		flags.BoolVarP(&f.ignore, "ignore", "i", false, "Pass over containers that do not exist")
	}
}

// selection resolves the options and the arguments. Exactly one way of naming
// containers must be used.
func (f *selectionFlags) selection(args []string) (engine.Selection, error) {
	sel := engine.Selection{All: f.all, Latest: f.latest, Filters: f.filters, Ignore: f.ignore}
	sel.Names = append(sel.Names, args...)
	for _, name := range f.cidFiles {
		id, err := readCIDFile(name)
		if f.ignore && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return sel, err
		}
		sel.Names = append(sel.Names, id)
	}
	named := len(args) > 0 || len(f.cidFiles) > 0
	switch {
	case f.all && f.latest:
		return sel, errors.New("--all and --latest cannot be used together")
	case f.all && named:
		return sel, errors.New("no containers are to be named with --all")
	case f.latest && (named || len(f.filters) > 0):
		return sel, errors.New("--latest cannot be used together with names, files or filters")
	case len(f.filters) > 0 && named:
		return sel, errors.New("--filter and names of containers cannot be used together")
	case !f.all && !f.latest && !named && len(f.filters) == 0:
		return sel, errors.New("you must provide at least one name or id")
	}
	return sel, nil
}

// emptySelection reports whether a valid selection names nothing, as when --ignore passed
// over a missing file.
func emptySelection(sel engine.Selection) bool {
	return !sel.All && !sel.Latest && len(sel.Names) == 0 && len(sel.Filters) == 0
}

// onSelected carries out a verb on the containers that the options and the arguments
// name, and prints what came of it; code is finish's.
func (app *App) onSelected(ctx context.Context, f *selectionFlags, args []string, code func([]error) int, verb func(Engine, engine.Selection) []engine.Result) error {
	sel, err := f.selection(args)
	if err != nil || emptySelection(sel) {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return app.finish(ctx, verb(eng, sel), code)
}

// maxCIDFile bounds what is read of a file that should hold 64 digits.
const maxCIDFile = 4096

// readCIDFile returns the id in a file that --cidfile of run wrote.
func readCIDFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("--cidfile: %w", err)
	}
	if info.Size() > maxCIDFile {
		return "", fmt.Errorf("--cidfile %s: not a container id: the file has %d bytes", name, info.Size())
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("--cidfile: %w", err)
	}
	id, _, _ := strings.Cut(string(b), "\n")
	if id = strings.TrimSpace(id); id == "" {
		return "", fmt.Errorf("--cidfile %s: there is no container id in it", name)
	}
	return id, nil
}

// completeFlags offers values of the options.
func (f *selectionFlags) completeFlags(app *App, cmd *cobra.Command) {
	if cmd.Flags().Lookup("filter") != nil {
		completeFlag(cmd, "filter", app.containerFilterWords)
	}
}

// timeoutFlag is --time of stop, restart and rm.
type timeoutFlag struct {
	seconds uint
	changed func(flag string) bool
}

func (f *timeoutFlag) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.SetNormalizeFunc(alias("timeout", "time"))
	flags.UintVarP(&f.seconds, "time", "t", 0, "Wait this many `seconds` before SIGKILL (default the container's own, 10)")
}

// get returns the timeout; nil is each container's own.
func (f *timeoutFlag) get() *int {
	if !f.changed("time") {
		return nil
	}
	n := int(min(f.seconds, 1<<31-1))
	return &n
}

// stoppable are the states in which stop and kill find something to do.
var stoppable = []container.State{container.Starting, container.Running, container.Stopping}
