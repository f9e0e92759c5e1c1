package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/store"
)

// Start starts a container that does not run. Attached, it returns when the
// container has ended, with its exit code, or with ErrDetached; detached, when
// the first process runs. Starting a running container does nothing, or attaches
// to it.
func (e *Engine) Start(ctx context.Context, nameOrID string, opts StartOptions) (int, error) {
	if err := e.PrepareStart(ctx, nameOrID); err != nil {
		return ExitOwnFailure, err
	}
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return ExitOwnFailure, err
	}
	if err := (chosen{Container: c, live: live}).refusePaused("start"); err != nil {
		return ExitOwnFailure, err
	}
	runs := live != nil && live.State != string(container.Stopping)
	for {
		if live != nil && !runs {
			// It ends for another command; what was asked for is that it runs.
			if err := filelock.AwaitFree(ctx, e.dirs.Container(c.Spec.ID).LiveLock()); err != nil {
				return ExitOwnFailure, fmt.Errorf("start container %s, which is being stopped: %w", c.Spec.Name, err)
			}
		} else if live != nil {
			if opts.Attach == nil {
				return 0, nil
			}
			return e.attach(ctx, c, *opts.Attach)
		}
		code, err := e.start(ctx, c.Spec, opts)
		if !errors.Is(err, errRunsAlready) {
			return code, err
		}
		if c, live, err = e.find(ctx, c.Spec.ID); err != nil { // another command started it at the same time
			return ExitOwnFailure, err
		}
		runs = live != nil && live.State != string(container.Stopping)
	}
}

// PrepareStart makes sure that a start can have the image store if it needs it:
// for an ordinary user that executes the command again, so call it before
// anything is changed that only this process would put back, as a terminal.
func (e *Engine) PrepareStart(ctx context.Context, nameOrID string) error {
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return err
	}
	runs := live != nil && live.State != string(container.Stopping)
	if runs || !e.startNeedsStore(c.Spec) {
		return nil
	}
	return e.enterStore()
}

// errRunsAlready reports that another command was faster.
var errRunsAlready = errors.New("the container runs already")

// StartSelected starts several containers, detached.
func (e *Engine) StartSelected(ctx context.Context, sel Selection) []Result {
	return e.each(ctx, sel, notLive, (*Engine).startNeedsStore, func(ctx context.Context, c chosen) error {
		_, err := e.Start(ctx, c.Spec.ID, StartOptions{})
		return err
	})
}

// notLive keeps containers that can be started.
func notLive(c container.Container) bool { return !c.Record.State.Live() }

// start does the work of Start under the container's operation lock.
func (e *Engine) start(ctx context.Context, spec container.Spec, opts StartOptions) (int, error) {
	op, c, live, err := e.hold(ctx, spec)
	if err != nil {
		return ExitOwnFailure, err
	}
	defer op.Close()
	if live != nil {
		return ExitOwnFailure, errRunsAlready
	}
	if err := requireState(c, "start", "", container.Created, container.Exited); err != nil {
		return ExitOwnFailure, err
	}
	e.opts.Timing.Mark("look at its state")
	session, err := e.launch(ctx, c, e.dirs.Container(spec.ID), opts.Attach)
	if err != nil {
		return exitCodeOf(err), err
	}
	op.Close()
	if opts.Attach == nil {
		return 0, nil
	}
	return session.wait(ctx, e)
}

// reserve takes the operation lock of a container and makes its directories. The
// lock comes first: without it, and without a row, sweep takes them for leftovers.
func (e *Engine) reserve(ctx context.Context, files paths.Container) (*os.File, error) {
	var op *os.File
	for attempt := 1; ; attempt++ {
		if err := os.MkdirAll(files.Data, 0o700); err != nil {
			return nil, fmt.Errorf("create container directory: %w", err)
		}
		var err error
		op, err = filelock.Lock(ctx, files.OpLock())
		if err == nil {
			break
		}
		// A sweep may have taken the directory for a leftover: the lock was free.
		if !errors.Is(err, fs.ErrNotExist) || attempt == 100 {
			return nil, err
		}
	}
	if err := files.Make(); err != nil {
		op.Close()
		return nil, err
	}
	return op, nil
}

// hold takes the operation lock of a container that was found, and looks at it again:
// it may have been started, stopped or removed since. live is nil unless it runs. The
// caller closes op. The error for one that is gone is errNoContainer.
func (e *Engine) hold(ctx context.Context, spec container.Spec) (op *os.File, c container.Container, live *monitor.Status, err error) {
	files := e.dirs.Container(spec.ID)
	op, err = e.reserve(ctx, files)
	if errors.Is(err, fs.ErrNotExist) { // it is being removed, and with it its directory
		err = &store.NotFoundError{NameOrID: spec.Name}
	}
	if err != nil {
		return nil, c, nil, err
	}
	e.opts.Timing.Mark("find the container, take its lock")
	defer func() {
		if errors.Is(err, errNoContainer) {
			err = errors.Join(err, removeFiles(files)) // made again by reserve
		}
		if err != nil {
			op.Close()
		}
	}()
	db, err := e.state(ctx)
	if err != nil {
		return op, c, nil, err
	}
	if c, err = db.Get(ctx, spec.ID); err != nil {
		return op, c, nil, err
	}
	c, live, gone, err := e.settled(ctx, c)
	if err == nil && gone {
		err = &store.NotFoundError{NameOrID: spec.Name}
	}
	return op, c, live, err
}

// launch starts the monitor of a container that does not run and whose operation lock
// is held, and returns when its first process runs. The attached session, if one was
// asked for, is open by then; the caller waits for it.
func (e *Engine) launch(ctx context.Context, c container.Container, files paths.Container, streams *Streams) (*session, error) {
	spec := c.Spec
	m, err := e.monitorFor(files)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	e.opts.Timing.Mark("spawn the monitor")
	orders, err := e.orders(ctx, c, files)
	if err != nil {
		return nil, err
	}
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		return nil, fmt.Errorf("start container %s: %w", spec.Name, err)
	}
	defer lock.Close()
	if err := lock.Truncate(0); err != nil {
		return nil, fmt.Errorf("start container %s: %w", spec.Name, err)
	}
	if err := os.Remove(files.Exit()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the last exit record: %w", err)
	}
	if err := writeLaunch(files.Launch(), orders); err != nil {
		return nil, err
	}
	if err := e.setState(ctx, spec.ID, func(r *container.Record) {
		r.State = container.Starting
		r.Error = ""
		r.RestartCount = 0 // of its own accord; a start by the user begins anew
	}); err != nil {
		return nil, err
	}
	e.opts.Timing.Mark("write the monitor's orders")
	if err := m.handOver(lock); err != nil {
		return nil, errors.Join(err, e.startFailed(ctx, spec, err))
	}
	s, err := e.handshake(ctx, m, c, files, streams)
	if err != nil {
		lock.Close()
		m.Close()
		return nil, errors.Join(err, e.endFailed(ctx, spec, files), e.startFailed(ctx, spec, err))
	}
	// Written down also for a user who has lost patience by now: it runs.
	err = e.setState(context.WithoutCancel(ctx), spec.ID, func(r *container.Record) {
		if r.State != container.Starting {
			return // it has ended by now, and another command has written down how
		}
		r.State = container.Running
		r.StartedAt = time.Now()
		r.MonitorPID = m.pid
		r.StoppedByUser = false
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("record that container %s runs: %w", spec.Name, err)
	}
	e.opts.Timing.Mark("write down that it runs")
	return s, nil
}

// handshake waits for the machine, attaches, lets the first process run and
// waits until it does.
func (e *Engine) handshake(ctx context.Context, m *monitorProcess, c container.Container, files paths.Container, streams *Streams) (*session, error) {
	if err := m.await(ctx, monitor.ReportReady, c.Spec.Name); err != nil {
		return nil, err
	}
	e.opts.Timing.Mark("hear from the monitor")
	var s *session
	if streams != nil {
		var err error
		if s, err = openSession(ctx, files, c.Spec, *streams, true); err != nil {
			return nil, err
		}
	}
	e.opts.Timing.Mark("attach")
	if err := m.goAhead(); err != nil {
		s.close()
		return nil, fmt.Errorf("tell the monitor of %s to go ahead: %w", c.Spec.Name, err)
	}
	if err := m.await(ctx, monitor.ReportStarted, c.Spec.Name); err != nil {
		s.close()
		return nil, err
	}
	e.opts.Timing.Mark("hear that it has started")
	return s, nil
}

// endFailed ends what was started of a container that will not run, because its
// start failed or was interrupted, and waits until it is gone: else it could
// neither be removed nor started again at once.
func (e *Engine) endFailed(ctx context.Context, spec container.Spec, files paths.Container) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), monitorGrace)
	defer cancel()
	if ctx.Err() != nil {
		_ = stopMonitor(limited, files, spec.ID, 0) // it also ends without being told, once it is up
	}
	return e.awaitEnd(limited, spec)
}

// startFailed writes down that a start did not succeed. The caller reports why.
func (e *Engine) startFailed(ctx context.Context, spec container.Spec, cause error) error {
	ctx = context.WithoutCancel(ctx)
	err := e.setState(ctx, spec.ID, func(r *container.Record) {
		if r.State == container.Starting {
			neverRan(r, spec, exitCodeOf(cause), cause.Error(), time.Now())
		}
	})
	if errors.Is(err, errNoContainer) {
		return nil
	}
	return err
}

// setState updates a container's record.
func (e *Engine) setState(ctx context.Context, id string, change func(*container.Record)) error {
	db, err := e.state(ctx)
	if err != nil {
		return err
	}
	return db.Update(ctx, id, func(r *container.Record) error { change(r); return nil })
}

// exitCodeOf is the exit code a command should end with after err.
func exitCodeOf(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	return ExitOwnFailure
}

// writeLaunch writes the monitor's orders: a temporary file, renamed.
func writeLaunch(path string, l *monitor.Launch) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode launch orders: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".launch-*")
	if err != nil {
		return fmt.Errorf("write launch orders: %w", err)
	}
	_, err = tmp.Write(b)
	if err := errors.Join(err, tmp.Close()); err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write launch orders: %w", err)
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		os.Remove(tmp.Name())
		return fmt.Errorf("write launch orders: %w", err)
	}
	return nil
}
