package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
)

// defaultWaitInterval is how often Wait looks for a condition other than the
// end, which announces itself.
const defaultWaitInterval = 250 * time.Millisecond

// Wait waits until every selected container meets a condition, by default that
// it has ended, and returns their exit codes in the order of the results. A
// condition other than the end gives -1, as in podman-wait(1).
func (e *Engine) Wait(ctx context.Context, sel Selection, opts WaitOptions) ([]int, []Result) {
	sel.Ignore = sel.Ignore || opts.Ignore
	for _, cond := range opts.Conditions {
		if !slices.Contains(WaitConditions(), cond) {
			return nil, []Result{{Err: fmt.Errorf("unknown condition %q: the conditions are %v", cond, WaitConditions())}}
		}
	}
	list, err := e.choose(ctx, sel, nil)
	if err != nil {
		return nil, []Result{{Err: err}}
	}
	codes, results := make([]int, len(list)), make([]Result, len(list))
	// All at once: one that is removed at its end tells its code only then.
	var wg sync.WaitGroup
	for i, c := range list {
		results[i], codes[i] = c.Result, -1
		if c.Err != nil {
			if errors.Is(c.Err, errNoContainer) && opts.Ignore {
				results[i].Err = nil
			}
			continue
		}
		wg.Go(func() { codes[i], results[i].Err = e.waitOne(ctx, c, opts) })
	}
	wg.Wait()
	return codes, results
}

// WaitConditions are the states a container can be waited for.
func WaitConditions() []string {
	return []string{"created", "starting", "running", paused, restarting, "stopping", "stopped", "exited", "removing"}
}

// ends reports whether a condition is that the container has ended.
func ends(condition string) bool { return condition == "stopped" || condition == "exited" }

// waitOne waits for one container.
func (e *Engine) waitOne(ctx context.Context, c chosen, opts WaitOptions) (int, error) {
	if len(opts.Conditions) == 0 || (len(opts.Conditions) == 1 && ends(opts.Conditions[0])) {
		return e.waitEnd(ctx, c)
	}
	interval := opts.Interval
	if interval <= 0 {
		interval = defaultWaitInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		now, live, err := e.find(ctx, c.Spec.ID)
		if errors.Is(err, errNoContainer) {
			return -1, nil // nothing more will become of it
		}
		if err != nil {
			return -1, err
		}
		state := chosen{Container: now, live: live}.shownState()
		for _, want := range opts.Conditions {
			if ends(want) && state == string(container.Exited) {
				return now.Record.ExitCode, nil
			}
			if state == want {
				return -1, nil
			}
		}
		select {
		case <-ctx.Done():
			return -1, fmt.Errorf("wait for container %s: %w", c.Spec.Name, ctx.Err())
		case <-tick.C:
		}
	}
}

// waitEnd waits for the end of a container, also of one that is removed by it:
// the monitor tells the exit to whoever is attached. One that never ran has
// nothing to wait for, as in Podman.
func (e *Engine) waitEnd(ctx context.Context, c chosen) (int, error) {
	if c.live == nil {
		return c.Record.ExitCode, nil
	}
	files := e.reach(c.Spec.ID)
	exit, err := monitor.Attach(ctx, files.AttachSocket(), c.Spec.ID, monitor.Streams{})
	if ctx.Err() != nil {
		return -1, fmt.Errorf("wait for container %s: %w", c.Spec.Name, ctx.Err())
	}
	if err != nil && !errors.Is(err, monitor.ErrGone) {
		return -1, fmt.Errorf("wait for container %s: %w", c.Spec.Name, err)
	}
	ended := err == nil && !exit.Restarts
	now, live, err := e.find(ctx, c.Spec.ID) // settles the record
	switch {
	case ended && (err == nil || errors.Is(err, errNoContainer)):
		return exit.ExitCode, nil
	case err != nil:
		return -1, err
	case live == nil:
		return now.Record.ExitCode, nil
	}
	// It is restarted by its policy, does not listen yet, or has not let go of the lock yet.
	select {
	case <-ctx.Done():
		return -1, fmt.Errorf("wait for container %s: %w", c.Spec.Name, ctx.Err())
	case <-time.After(dialInterval):
	}
	return e.waitEnd(ctx, chosen{Container: now, live: live})
}
