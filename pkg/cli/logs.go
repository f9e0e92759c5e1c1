package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containers/common/pkg/timetype"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// logReader is what logs needs of the engine.
type logReader interface {
	Logs(ctx context.Context, names []string, opts engine.LogOptions, stdout, stderr io.Writer) error
}

type logsFlags struct {
	color      bool
	follow     bool
	latest     bool
	names      bool
	since      string
	tail       int
	timestamps bool
	until      string
}

func (f *logsFlags) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&f.color, "color", false, "Give the lines of each container a colour of its own")
	flags.BoolVarP(&f.follow, "follow", "f", false, "Wait for more until the containers end")
	flags.BoolVarP(&f.latest, "latest", "l", false, "Show the log of the container created last")
	flags.BoolVarP(&f.names, "names", "n", false, "Put the container's name before each line")
	flags.StringVar(&f.since, "since", "", "Show lines since this `time`, as 10m or 2006-01-02T15:04:05")
	flags.IntVar(&f.tail, "tail", -1, "Show only this `number` of lines at the end, -1 for all")
	flags.BoolVarP(&f.timestamps, "timestamps", "t", false, "Put the time before each line")
	flags.StringVar(&f.until, "until", "", "Show lines until this `time`")
}

func newLogsCommand(app *App) *cobra.Command {
	var opts logsFlags
	cmd := &cobra.Command{
		Use:   "logs [options] CONTAINER [CONTAINER...]",
		Short: "Show the output of one or more containers",
		Long:  "Prints what containers have written: standard output to standard output, errors to standard error.",
		Example: `  vpod logs web
  vpod logs --follow --tail 20 web
  vpod logs --names --since 10m web db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.logs(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		for _, flag := range []string{"since", "until", "tail"} {
			completeFlag(cmd, flag, noWords)
		}
	})
	return cmd
}

// options turns flags into what the engine is asked for.
func (f *logsFlags) options(now time.Time) (engine.LogOptions, error) {
	opts := engine.LogOptions{Follow: f.follow, Tail: f.tail, Timestamps: f.timestamps, Names: f.names, Color: f.color}
	var err error
	if f.since != "" {
		if opts.Since, err = parseTime("--since", f.since, now); err != nil {
			return opts, err
		}
	}
	if f.until != "" {
		if opts.Until, err = parseTime("--until", f.until, now); err != nil {
			return opts, err
		}
	}
	return opts, nil
}

// parseTime reads a duration before now, seconds since 1970, or a date.
func parseTime(flag, s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil && s != "0" {
		return now.Add(-d), nil
	}
	bad := fmt.Errorf("%s %q: give a duration as 10m, a date as 2006-01-02T15:04:05, or seconds since 1970", flag, s)
	stamp, err := timetype.GetTimestamp(s, now)
	if err != nil {
		return time.Time{}, bad
	}
	seconds, nanos, err := timetype.ParseTimestamps(stamp, 0)
	if err != nil {
		return time.Time{}, bad
	}
	return time.Unix(seconds, nanos), nil
}

func (app *App) logs(ctx context.Context, f *logsFlags, args []string) error {
	opts, err := f.options(app.Now())
	if err != nil {
		return err
	}
	switch {
	case f.latest && len(args) > 0:
		return errors.New("--latest and names of containers cannot be given together")
	case !f.latest && len(args) == 0:
		return errors.New("specify at least one container name or id to log")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if f.latest {
		id, err := app.latest(ctx, eng)
		if err != nil {
			return err
		}
		args = []string{id}
	}
	return eng.Logs(ctx, args, opts, app.Stdout, app.Stderr)
}
