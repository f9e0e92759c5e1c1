package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/pflag"

	"vpod/pkg/timing"
)

// Began is when this process began to execute its program, as main.main knows it;
// the zero value is when nobody has looked.
type Began struct {
	AtNanos        int64 // by CLOCK_MONOTONIC
	ProcessorNanos int64 // used by then
}

// marks returns the time before main, and what was before an exec of the same
// process (enterStore).
func (b Began) marks() []timing.Mark {
	here := timing.Mark{By: timing.Vpod, What: "initialise the program", AtNanos: timing.Now(), Host: timing.ProcessorTime()}
	if b.AtNanos == 0 {
		b = Began{AtNanos: here.AtNanos, ProcessorNanos: here.Host}
	}
	start := timing.Mark{By: timing.Vpod, What: "execute the program", AtNanos: b.AtNanos, Host: b.ProcessorNanos}
	before := timing.Inherited()
	if len(before) > 0 {
		start.What, here.What = "execute the program again", "enter the user namespace, initialise again"
	}
	return append(before, start, here)
}

// timingFlag is the option --timing. Setting it begins the record, so that without
// it nothing is recorded.
type timingFlag struct {
	app    *App
	format string // "text" or "json"; "" is not asked for
	record *timing.Recorder
}

// timingFormats are the words --timing takes.
var timingFormats = []string{"text", "json"}

func (f *timingFlag) addFlags(app *App, flags *pflag.FlagSet) {
	f.app = app
	flags.Var(f, "timing", "Print at the end where the time went, in this `format`: text or json")
	flags.Lookup("timing").NoOptDefVal = timingFormats[0]
}

// Set implements pflag.Value.
func (f *timingFlag) Set(s string) error {
	if err := newChoice(&f.format, timingFormats...).Set(s); err != nil {
		return err
	}
	if f.record == nil {
		f.record = f.app.newRecord(timing.Vpod)
	}
	return nil
}

// String and Type implement pflag.Value.
func (f *timingFlag) String() string { return f.format }

// Type implements pflag.Value.
func (f *timingFlag) Type() string { return "choice" }

// newRecord begins the record of this process with the time before main.
func (app *App) newRecord(by string) *timing.Recorder {
	r := timing.New(by)
	for _, m := range app.Loaded {
		m.By = by
		r.Add(m)
	}
	return r
}

// showTiming prints where the time went, as the last thing the process does.
func (app *App) showTiming() {
	record := app.timing.record
	if record == nil {
		return
	}
	record.Mark("say how it went")
	record.Use(timing.OwnUsage(timing.Vpod))
	report := record.Report()
	if app.timing.format == "json" {
		if b, err := json.Marshal(report); err == nil { // it always encodes
			fmt.Fprintf(app.Stderr, "%s\n", b)
		}
		return
	}
	_ = report.WriteText(app.Stderr) // there is nowhere to say that standard error is closed
}
