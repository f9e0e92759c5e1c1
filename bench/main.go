// Command bench measures vpod beside podman, and guards what was reached.
//
//	bench [options]        prints a table of medians and ratios
//	bench guard [options]  fails when a ratio that must hold does not
//
// bench/run and bench/guard build and call it; make bench and hack/check call those.
// It works with the built programs only, as a user would, and shares no code with
// them. A measurement is a function in the file of its subject; measurement.go lists
// them. The programs take turns (alternate.go), in a world of their own (world.go)
// of which nothing is left. docs/performance.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	build, json, only, from string
	quick, markdown, list   bool
}

func (o *options) addFlags(f *flag.FlagSet) {
	f.StringVar(&o.build, "build", "build", "measure the vpod in this `directory`")
	f.StringVar(&o.json, "json", "", "write all samples to this `file`; - prints them in place of the table")
	f.StringVar(&o.from, "from", "", "measure nothing: print the table of this `file`, which --json has written")
	f.StringVar(&o.only, "only", "", "measure these alone: `name[,name]`")
	f.BoolVar(&o.quick, "quick", false, "few runs, small sizes")
	f.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	f.BoolVar(&o.list, "list", false, "say what can be measured, and measure nothing")
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	guarding := len(args) > 0 && args[0] == "guard"
	if guarding {
		args = args[1:]
	}
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(progress)
	o.addFlags(f)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("%q is too much; --help shows the options", f.Arg(0))
	}
	chosen, err := choose(measurements(), o.only)
	if err != nil {
		return err
	}
	if o.list {
		for _, m := range measurements() {
			fmt.Fprintf(out, "%-10s %s\n", m.name, strings.ReplaceAll(m.about, "`", ""))
		}
		return nil
	}
	if o.from != "" {
		r, err := readReport(o.from, chosen)
		if err != nil {
			return err
		}
		return r.write(o, out)
	}

	w, err := newWorld(o.build, o.quick, progress)
	if err != nil {
		return err
	}
	if guarding {
		err = guard(ctx, w, out)
	} else {
		err = bench(ctx, w, o, chosen, out)
	}
	if err2 := w.close(); err2 != nil {
		w.say("clean-up: %v", err2)
		err = errors.Join(err, err2)
	}
	return err
}

// bench measures and prints. A measurement that fails does not stop the others.
func bench(ctx context.Context, w *world, o options, chosen []measurement, out io.Writer) error {
	w.say("preparing")
	e, err := w.prepare(ctx)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	r := report{Environment: e}
	var errs []error
	for _, m := range chosen {
		start := time.Now()
		rows, err := m.run(ctx, w)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.name, err))
			if len(rows) == 0 {
				rows = []row{{Name: m.name, Title: m.about}}
			}
			rows[0].note("not measured: %v", err)
		}
		for _, warning := range w.takeWarnings() {
			rows[0].note("vpod said: %s", warning)
		}
		r.Rows = append(r.Rows, rows...)
		w.say("%s: %s, took %.0f s", m.name, m.about, time.Since(start).Seconds())
	}
	r.Environment.LoadAfter = load()
	return errors.Join(append(errs, r.write(o, out))...)
}

// write prints the report as the options say.
func (r report) write(o options, out io.Writer) error {
	switch {
	case o.json == "-":
		return r.writeJSON(out)
	case o.json != "":
		f, err := os.Create(o.json)
		if err != nil {
			return err
		}
		if err := errors.Join(r.writeJSON(f), f.Close()); err != nil {
			return err
		}
	}
	if o.markdown {
		return r.writeMarkdown(out)
	}
	return r.writeText(out)
}
