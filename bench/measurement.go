package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// measurement is one subject of the benchmark.
type measurement struct {
	name  string // for --only
	about string // what is done and what is warm; one sentence without a full stop
	run   func(ctx context.Context, w *world) ([]row, error)
	extra bool // only when it is asked for
}

// measurements are all of them, in the order of the table.
func measurements() []measurement {
	return []measurement{
		{name: "run", about: "a whole `run --rm` of `true`, without a network", run: measureRun},
		{name: "network", about: "the same with each program's default network", run: measureNetwork},
		{name: "python", about: "`run --rm` of a Debian image's `python3 -c pass`", run: measurePython},
		{name: "exec", about: "`exec` of `true` in a running container", run: measureExec},
		{name: "startstop", about: "`start` and `stop` of an existing container", run: measureStartStop},
		{name: "ps", about: "`ps --all` with 100 containers, none running", run: measurePs},
		{name: "parallel", about: "16 `run --detach` at once", run: measureParallel},
		{name: "memory", about: "memory of idle containers", run: measureMemory},
		{name: "files", about: "work with files inside a container, by its own clock", run: measureFiles},
		{name: "output", about: "standard output through an attached `run`", run: measureOutput},
		{name: "pull", about: "a 200 MB image from a registry on loopback, until a container of it can run", run: measurePull},
		{name: "build", about: "`build` of ten `RUN` steps, beside buildah", run: measureBuild},
		{name: "boards", about: "starts from a template and cold, on both boards", run: measureBoards},
		{name: "phases", about: "where the time of a `run --rm --network none` goes; only with --only", run: measurePhases, extra: true},
	}
}

// choose returns the measurements named in a list with commas; for "" all but the
// extra ones.
func choose(all []measurement, only string) ([]measurement, error) {
	if only == "" {
		return slices.DeleteFunc(slices.Clone(all), func(m measurement) bool { return m.extra }), nil
	}
	var chosen []measurement
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(m measurement) bool { return m.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no measurement %q; --list shows them", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// compare has the contestants take turns and fills the samples of rows, each of
// which is named NAME/VALUE, by what the contestants measure under VALUE. What
// podman cannot do is a note; what vpod cannot do is an error.
func compare(ctx context.Context, w *world, rounds int, contestants []contestant, rows []row) ([]row, error) {
	samples, failed := alternate(ctx, rounds, contestants)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i := range rows {
		_, value, _ := strings.Cut(rows[i].Name, "/")
		rows[i].Samples = samples[value]
		if rows[i].Samples == nil {
			rows[i].Samples = map[string][]float64{}
		}
		if err := failed[theirs]; err != nil {
			rows[i].note("podman: %v", err)
		}
	}
	return rows, failed[ours]
}

// timed is the contestant of a command that leaves nothing: wall time under "wall",
// processor time of all its processes under "cpu", both in ms.
func timed(w *world, p *program, argv []string) contestant {
	return contestant{name: p.name, one: func(ctx context.Context) (values, error) {
		r, err := w.runSettled(ctx, argv...)
		return values{"wall": ms(r.wall), "cpu": ms(r.cpu)}, err
	}}
}

// eachProgram makes a contestant of each program. With an error nothing runs.
func eachProgram(w *world, contestantOf func(*program) (contestant, error)) ([]contestant, error) {
	var all []contestant
	var errs []error
	for _, p := range w.programs() {
		c, err := contestantOf(p)
		all, errs = append(all, c), append(errs, err)
	}
	return all, errors.Join(errs...)
}
