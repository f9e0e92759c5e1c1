package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// A container's status and sockets are in the run directory, which may be
// another than this command's by now: that of another login, or gone with the
// last one. Its liveness lock, beside its data, says where they are.

// reach names a container's files with the run directory its monitor uses.
func (e *Engine) reach(id string) paths.Container { return reached(e.dirs.Container(id)) }

// reached is reach for files that are at hand.
func reached(files paths.Container) paths.Container {
	if h := monitor.ReadHolder(files.LiveLock()); h.RunDir != "" {
		files.Run = h.RunDir
	}
	return files
}

// errEnded reports a monitor that has let go of its lock since it was looked at.
var errEnded = errors.New("its monitor has ended")

// liveStatus is what a living monitor says, whose lock was held. When its run
// directory has gone, it is asked to serve elsewhere; should it not, the record
// tells the rest. The error is errEnded when the monitor was about to end: it removes
// its status before it lets go of the lock.
func (e *Engine) liveStatus(ctx context.Context, c container.Container) (*monitor.Status, error) {
	status, err := readStatus(e.reach(c.Spec.ID))
	if !errors.Is(err, fs.ErrNotExist) {
		return status, err
	}
	lock := e.dirs.Container(c.Spec.ID).LiveLock()
	holder := monitor.ReadHolder(lock)
	if held, err := filelock.Held(lock); err != nil || !held {
		return nil, errors.Join(err, errEnded)
	}
	if holder.MonitorPID == 0 {
		// Between taking the lock and the first status there is nothing to read yet.
		return &monitor.Status{State: string(container.Starting)}, nil
	}
	if err := e.renew(ctx, c.Spec.ID, holder); err != nil {
		e.opts.Notice(fmt.Sprintf("container %s runs, but cannot be reached: %v", c.Spec.Name, err))
	}
	status, err = readStatus(e.reach(c.Spec.ID))
	if errors.Is(err, fs.ErrNotExist) {
		if held, err := filelock.Held(lock); err != nil || !held {
			return nil, errors.Join(err, errEnded)
		}
		state := c.Record.State
		if !state.Live() {
			state = container.Starting
		}
		return &monitor.Status{State: string(state), MonitorPID: holder.MonitorPID, StartedAt: c.Record.StartedAt}, nil
	}
	return status, err
}

// renewTimeout bounds how long a monitor is waited for that makes its sockets anew.
const renewTimeout = time.Second

// renew has a monitor make its status and sockets anew, and waits for it.
func (e *Engine) renew(ctx context.Context, id string, holder monitor.Holder) error {
	_, err := os.Stat(holder.RunDir)
	e.opts.Log.Info("ask the monitor to serve elsewhere", "container", id, "runDir", holder.RunDir, "error", err)
	if err := signalHolder(e.dirs.Container(id).LiveLock(), holder, monitor.RenewSignal); err != nil {
		return err
	}
	deadline := time.After(renewTimeout)
	for {
		if _, err := os.Stat(e.reach(id).Status()); err == nil {
			return nil
		}
		if held, err := filelock.Held(e.dirs.Container(id).LiveLock()); err != nil || !held {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return fmt.Errorf("its run directory %s has gone, and its monitor, process %d, does not make another", holder.RunDir, holder.MonitorPID)
		case <-time.After(dialInterval):
		}
	}
}

// signalHolder sends a signal to the process that holds the liveness lock at
// path. One that has ended by now is no error.
func signalHolder(path string, holder monitor.Holder, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(holder.MonitorPID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find its monitor: %w", err)
	}
	defer unix.Close(fd)
	// The lock is held and still says so, now that the process cannot be mistaken
	// for another any more: it is the one that was meant.
	if held, err := filelock.Held(path); err != nil || !held || monitor.ReadHolder(path) != holder {
		return err
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal its monitor: %w", err)
	}
	return nil
}
