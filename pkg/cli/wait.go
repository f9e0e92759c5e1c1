package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// waiter is what wait needs of the engine.
type waiter interface {
	Wait(ctx context.Context, sel engine.Selection, opts engine.WaitOptions) ([]int, []engine.Result)
}

type waitFlags struct {
	selectionFlags
	interval   string
	conditions []string
}

func (f *waitFlags) addFlags(flags *pflag.FlagSet) {
	f.selectionFlags.addFlags(flags, "Wait for", selectLatest)
	flags.BoolVar(&f.ignore, "ignore", false, "Pass over containers that do not exist")
	flags.StringVarP(&f.interval, "interval", "i", "250ms", "Look again after this `time`, as 1s, or 500 for milliseconds")
	flags.StringSliceVar(&f.conditions, "condition", nil, "Wait for this `state` (default stopped)")
}

func newWaitCommand(app *App) *cobra.Command {
	var opts waitFlags
	cmd := &cobra.Command{
		Use:   "wait [options] CONTAINER [CONTAINER...]",
		Short: "Wait for containers to end and print their exit codes",
		Long:  "Returns when the containers have ended, or are in one of the states of --condition, and prints each one's exit code.",
		Example: `  vpod wait web
  vpod wait --condition running web db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.wait(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "condition", fixedWords(engine.WaitConditions()...))
		completeFlag(cmd, "interval", noWords)
	})
	return cmd
}

// options checks the values.
func (f *waitFlags) options() (engine.WaitOptions, error) {
	interval, err := time.ParseDuration(f.interval)
	if ms, convErr := strconv.ParseUint(f.interval, 10, 31); convErr == nil {
		interval, err = time.Duration(ms)*time.Millisecond, nil
	}
	if err != nil || interval <= 0 {
		return engine.WaitOptions{}, fmt.Errorf("--interval %q: give a time as 500ms or 2s", f.interval)
	}
	for _, c := range f.conditions {
		if known := engine.WaitConditions(); !slices.Contains(known, c) {
			return engine.WaitOptions{}, fmt.Errorf("--condition %q: the states are %s", c, strings.Join(known, ", "))
		}
	}
	return engine.WaitOptions{Interval: interval, Conditions: f.conditions, Ignore: f.ignore}, nil
}

func (app *App) wait(ctx context.Context, f *waitFlags, args []string) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	sel, err := f.selection(args)
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	codes, results := eng.Wait(ctx, sel, opts)
	var errs []error
	for i, r := range results {
		if r.Err != nil {
			errs = append(errs, r.Err)
			app.printError(ctx, r.Err)
			continue
		}
		if i < len(codes) {
			fmt.Fprintln(app.Stdout, codes[i])
		}
	}
	return exitWith(ownFailure(errs))
}
