package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// The guard compares processor times with each other, never with a clock: each is
// that of all processes involved, the machine's included, and the smallest of some
// rounds, because what else the machine does only makes it larger. Machines are
// emulated, wherever it runs, so that the ratios are nearly the same everywhere.

// What the guard measures.
const (
	costVersion  = "version"  // the program starts and ends
	costPs       = "ps"       // `ps --all` with guardContainers containers
	costExec     = "exec"     // `exec` of true
	costSpin     = "spin"     // `exec` of a fixed number of instructions
	costCold     = "cold"     // a whole `run --rm` of true, cold boot
	costTemplate = "template" // the same from a template
)

const (
	guardContainers = 50
	guardSpins      = 200_000_000
	guardRounds     = 8 // at most; two at least
)

// limit is a ratio of two costs that must hold.
type limit struct {
	of, to string
	most   float64
	says   string
}

// limits have generous margins: about twice what was measured, where nothing else
// is promised.
func limits() []limit {
	return []limit{
		{costPs, costVersion, 5, "ps of 50 containers, to starting the program"},
		{costExec, costCold, 0.25, "exec, to a cold start"},
		{costCold, costSpin, 5, "a cold start, to a fixed piece of work in the guest"},
		{costTemplate, costCold, 0.6, "a start from a template, to a cold one"},
	}
}

// guard measures until all limits hold, or long enough.
func guard(ctx context.Context, w *world, out io.Writer) error {
	image, err := w.image(ctx, w.vpod, busyboxImage)
	if err != nil {
		return err
	}
	run := func(options ...string) []string {
		args := append([]string{"--rm", "--network", "none", "--accel", "tcg"}, options...)
		return w.vpod.container("run", append(args, image, "true")...)
	}
	if _, err := w.runSettled(ctx, run()...); err != nil { // converts the image
		return err
	}
	for n := range guardContainers {
		if _, err := w.run(ctx, w.vpod.container("create", "--name", fmt.Sprint("guard", n), "--network", "none", image, "true")...); err != nil {
			return err
		}
	}
	if err := w.keepRunning(ctx, w.vpod, "bench", "--accel", "tcg"); err != nil {
		return err
	}
	exec := func(command ...string) []string {
		return w.vpod.command(append([]string{"exec", "bench"}, command...)...)
	}
	type piece struct {
		name string
		argv []string
	}
	work := []piece{
		{costVersion, w.vpod.command("version")},
		{costPs, w.vpod.command("ps", "--all")},
		{costExec, exec("true")},
		{costSpin, exec("probe", "spin", fmt.Sprint(guardSpins))},
	}
	if w.hasOption(ctx, "run", "--template") {
		work = append(work, piece{costTemplate, run("--template", "always")}, piece{costCold, run("--template", "never")})
	} else {
		work = append(work, piece{costCold, run()})
	}

	least := map[string]time.Duration{}
	for round := range guardRounds {
		for _, c := range work {
			cost, err := w.cost(ctx, c.argv)
			if err != nil {
				return err
			}
			if old, ok := least[c.name]; !ok || cost < old {
				least[c.name] = cost
			}
		}
		if _, broken := judge(limits(), least); round > 0 && broken == 0 {
			break
		}
	}
	lines, broken := judge(limits(), least)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if broken > 0 {
		return fmt.Errorf("%d of %d ratios of processor time are above their limits", broken, len(lines))
	}
	return nil
}

// cost is the processor time of a command, of all that it starts and that ends with
// it, and of what the processes that were there before do for it.
func (w *world) cost(ctx context.Context, argv []string) (time.Duration, error) {
	before, err := descendants(os.Getpid())
	if err != nil {
		return 0, err
	}
	had := cpuOf(before)
	r, err := w.runSettled(ctx, argv...)
	if err != nil {
		return 0, err
	}
	return r.cpu + cpuOf(before) - had, nil
}

// cpuOf adds up what living processes have used by now.
func cpuOf(all []task) time.Duration {
	var sum time.Duration
	for _, t := range all {
		sum += cpuNow(t)
	}
	return sum
}

// judge says for each limit whether it holds, and how many do not.
func judge(limits []limit, costs map[string]time.Duration) (lines []string, broken int) {
	for _, l := range limits {
		of, ok := costs[l.of]
		to, ok2 := costs[l.to]
		if !ok || !ok2 || to <= 0 {
			lines = append(lines, fmt.Sprintf("skipped: %s: not in this build", l.says))
			continue
		}
		ratio := float64(of) / float64(to)
		word := "ok"
		if ratio > l.most {
			word = "FAILED"
			broken++
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %.2f, at most %.2f (%.1f ms, %.1f ms)", word, l.says, ratio, l.most, ms(of), ms(to)))
	}
	return lines, broken
}
