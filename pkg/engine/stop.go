package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// parallelVerbs bounds how many containers one command works on at once.
const parallelVerbs = 8

// each applies a verb to every chosen container, several at once, and returns
// the results in the order of the selection. When the verb needs the image store
// for one of them, it is made usable before anything is done: that may execute
// the whole command again. needsStore may be nil.
func (e *Engine) each(ctx context.Context, sel Selection, wanted func(container.Container) bool, needsStore func(*Engine, container.Spec) bool, do func(context.Context, chosen) error) []Result {
	list, err := e.choose(ctx, sel, wanted)
	if err != nil {
		return []Result{{Err: err}}
	}
	if needsStore != nil && slices.ContainsFunc(list, func(c chosen) bool { return c.Err == nil && needsStore(e, c.Spec) }) {
		if err := e.enterStore(); err != nil {
			return []Result{{Err: err}}
		}
	}
	results := make([]Result, len(list))
	slots := make(chan struct{}, parallelVerbs)
	var wg sync.WaitGroup
	for i, c := range list {
		results[i] = c.Result
		if c.Err != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			results[i].Err = do(ctx, c)
		})
	}
	wg.Wait()
	return results
}

// isLive keeps containers that have a monitor.
func isLive(c container.Container) bool { return c.Record.State.Live() }

// Stop stops containers: their stop signal, then, after the timeout, SIGKILL.
// Stopping one that does not run does nothing.
func (e *Engine) Stop(ctx context.Context, sel Selection, opts StopOptions) []Result {
	return e.each(ctx, sel, isLive, nil, func(ctx context.Context, c chosen) error {
		if c.live == nil {
			return nil
		}
		if err := c.refusePaused("stop"); err != nil {
			return err
		}
		return e.stop(ctx, c.Container, opts)
	})
}

// Times a monitor gets beyond what the user's timeout allows, before it is
// itself killed: for SIGKILL, the guest's shutdown and QEMU's end.
const monitorGrace = 20 * time.Second

// stop stops one container and waits until it has truly ended.
func (e *Engine) stop(ctx context.Context, c container.Container, opts StopOptions) error {
	files := e.dirs.Container(c.Spec.ID)
	timeout := time.Duration(c.Spec.StopTimeoutSeconds) * time.Second
	if opts.TimeoutSeconds != nil {
		timeout = time.Duration(*opts.TimeoutSeconds) * time.Second
	}
	limited, cancel := context.WithTimeout(ctx, timeout+monitorGrace)
	defer cancel()
	err := stopMonitor(limited, files, c.Spec.ID, timeout)
	var refused *monitor.RefusedError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stop container %s: %w", c.Spec.Name, ctx.Err())
	case errors.As(err, &refused):
		return fmt.Errorf("stop container %s: %w", c.Spec.Name, err)
	case err != nil:
		if err := e.killMonitor(c); err != nil {
			return err
		}
		if err := e.awaitEnd(ctx, c.Spec); err != nil {
			return err
		}
	}
	_, _, err = e.find(ctx, c.Spec.ID) // settles the record
	if errors.Is(err, errNoContainer) {
		return nil
	}
	return err
}

// dialInterval is how often a monitor that does not listen yet is looked for.
const dialInterval = 20 * time.Millisecond

// stopMonitor asks a container's monitor to end it, and returns nil once it has
// ended. Between the taking of the lock and the monitor's first word there is
// nobody to ask: that is waited for.
func stopMonitor(ctx context.Context, files paths.Container, id string, timeout time.Duration) error {
	for {
		err := monitor.Stop(ctx, reached(files).AttachSocket(), id, monitor.StopOptions{Timeout: &timeout})
		if !errors.Is(err, monitor.ErrGone) {
			return err
		}
		if held, heldErr := filelock.Held(files.LiveLock()); heldErr != nil || !held {
			return heldErr
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(dialInterval):
		}
	}
}

// awaitEnd waits until a monitor that is on its way out has let go of the
// container's liveness lock.
func (e *Engine) awaitEnd(ctx context.Context, spec container.Spec) error {
	ctx, cancel := context.WithTimeout(ctx, monitorGrace)
	defer cancel()
	if err := filelock.AwaitFree(ctx, e.dirs.Container(spec.ID).LiveLock()); err != nil {
		return fmt.Errorf("wait for the end of container %s: %w", spec.Name, err)
	}
	return nil
}

// killMonitor ends a monitor that does not answer. QEMU and the helpers die
// with it.
func (e *Engine) killMonitor(c container.Container) error {
	lock := e.dirs.Container(c.Spec.ID).LiveLock()
	holder := monitor.ReadHolder(lock)
	if holder.MonitorPID <= 0 {
		if held, err := filelock.Held(lock); err != nil || !held {
			return err
		}
		return fmt.Errorf("container %s does not answer and its monitor is unknown: look for a stopped vpod process that was starting it, and end that", c.Spec.Name)
	}
	e.opts.Notice(fmt.Sprintf("the monitor of container %s does not answer: killing it", c.Spec.Name))
	if err := signalHolder(lock, holder, unix.SIGKILL); err != nil {
		return fmt.Errorf("container %s does not answer: %w", c.Spec.Name, err)
	}
	return nil
}

// Kill sends a signal to the first process of running containers.
func (e *Engine) Kill(ctx context.Context, sel Selection, signal int) []Result {
	return e.each(ctx, sel, isLive, nil, func(ctx context.Context, c chosen) error {
		if c.live == nil {
			return &container.StateError{Name: c.Spec.Name, Have: c.Record.State, Verb: "kill", Hint: "can only kill running containers"}
		}
		if err := c.refusePaused("kill"); err != nil {
			return err
		}
		fatal := signal == int(unix.SIGKILL) // the user means its end: no restart policy applies then
		if err := monitor.Kill(ctx, e.reach(c.Spec.ID).AttachSocket(), c.Spec.ID, signal, fatal); err != nil {
			if errors.Is(err, monitor.ErrGone) {
				return &container.StateError{Name: c.Spec.Name, Have: shownState(c.Container, c.live), Verb: "kill", Hint: "can only kill running containers; `vpod stop` also ends one that starts"}
			}
			return fmt.Errorf("kill container %s: %w", c.Spec.Name, err)
		}
		if fatal {
			// Podman's kill returns when the state says so; a killed machine ends within moments.
			_ = e.awaitEnd(ctx, c.Spec) // a start that came at once may keep it alive: not an error
		}
		return nil
	})
}

// Restart stops containers that run and starts all of them; with runningOnly,
// those that do not run are left alone.
func (e *Engine) Restart(ctx context.Context, sel Selection, opts StopOptions, runningOnly bool) []Result {
	var wanted func(container.Container) bool
	if runningOnly {
		wanted = isLive
	}
	return e.each(ctx, sel, wanted, (*Engine).startNeedsStore, func(ctx context.Context, c chosen) error {
		if err := c.refusePaused("restart"); err != nil {
			return err
		}
		if c.live != nil {
			if c.Spec.AutoRemove {
				return &container.StateError{Name: c.Spec.Name, Have: c.Record.State, Verb: "restart", Hint: "it is removed as soon as it stops (--rm)"}
			}
			if err := e.stop(ctx, c.Container, opts); err != nil {
				return err
			}
		} else if runningOnly {
			return nil
		}
		_, err := e.Start(ctx, c.Spec.ID, StartOptions{})
		return err
	})
}
