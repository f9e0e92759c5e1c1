package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/image"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/store"
)

// What the record says is what was last written; what holds is what the
// liveness lock says. This file brings the two together, for every verb that
// reads a container.

// observe returns the container as it truly is: a record that says "running"
// while nobody holds the lock is brought up to date from exit.json, and what an
// interrupted command left half done is finished, unless that takes the image
// store and this process cannot have it. live is nil unless a monitor
// (or a command about to start one) holds the lock. gone reports a container
// that does not exist any more.
func (e *Engine) observe(ctx context.Context, c container.Container) (now container.Container, live *monitor.Status, gone bool, err error) {
	c, live, gone, err = e.settled(ctx, c)
	if live != nil || gone || err != nil {
		return c, live, gone, err
	}
	unfinished := c.Record.State == container.Removing || (c.Record.State == container.Exited && c.Spec.AutoRemove)
	if unfinished && (c.Spec.Rootfs.Mode == container.RootfsDisk || image.InUserNamespace()) {
		removed, err := e.finishRemoval(ctx, c)
		return c, nil, removed, err
	}
	return c, nil, false, nil
}

// settled is observe without finishing removals, which take the operation lock.
func (e *Engine) settled(ctx context.Context, c container.Container) (now container.Container, live *monitor.Status, gone bool, err error) {
	files := e.dirs.Container(c.Spec.ID)
	held, err := filelock.Held(files.LiveLock())
	if err != nil {
		return c, nil, false, err
	}
	if held {
		status, err := e.liveStatus(ctx, c)
		if !errors.Is(err, errEnded) {
			return c, status, false, err
		}
	}
	if c.Record.State.Live() {
		c, gone, err = e.settle(ctx, c, files)
	}
	return c, nil, gone, err
}

// settle writes down how a container ended whose monitor is gone.
func (e *Engine) settle(ctx context.Context, c container.Container, files paths.Container) (container.Container, bool, error) {
	db, err := e.state(ctx)
	if err != nil {
		return c, false, err
	}
	updated := c
	err = db.Update(ctx, c.Spec.ID, func(r *container.Record) error {
		err := settleRecord(r, c.Spec, files)
		updated.Record = *r
		return err
	})
	if errors.Is(err, errNoContainer) {
		return c, true, nil
	}
	if errors.Is(err, store.ErrFull) {
		// Whoever looks now sees the truth, and it is found out again once it can be
		// written: ps and rm are what one needs on a full disk.
		return updated, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("record how container %s ended: %w", c.Spec.Name, err)
	}
	return updated, false, nil
}

// settleRecord is settle within the transaction that holds the record: a command
// that starts the container has the lock before it writes "starting", and writes
// that only over a settled record. So what lies on disk now is of the run that
// the record tells of, and nobody makes anything new of it meanwhile.
func settleRecord(r *container.Record, spec container.Spec, files paths.Container) error {
	if !r.State.Live() {
		return nil // another command has settled it
	}
	if held, err := filelock.Held(files.LiveLock()); err != nil || held {
		return err
	}
	exit, exitErr := readExit(files)
	applyExit(r, spec, exit, exitErr, time.Now().Round(0).UTC())
	clearRunFiles(files)
	return nil
}

// lostMonitorExit is the exit code of a container whose monitor was killed: as
// if its own process had been (128 + SIGKILL), for that is what happened to it.
const lostMonitorExit = 137

// applyExit turns what the monitor left into the record. exitErr is what
// reading exit.json gave.
func applyExit(r *container.Record, spec container.Spec, exit *monitor.Exit, exitErr error, now time.Time) {
	if r.State == container.Starting {
		switch {
		case errors.Is(exitErr, fs.ErrNotExist):
			neverRan(r, spec, ExitOwnFailure, "the command that started it was interrupted", now)
			return
		case exitErr == nil && exit.StartedAt.IsZero():
			neverRan(r, spec, exit.ExitCode, exit.Error, exit.FinishedAt)
			return
		}
	}
	r.State = container.Exited
	if exitErr == nil {
		if !exit.StartedAt.IsZero() {
			r.StartedAt = exit.StartedAt
		}
		r.FinishedAt = exit.FinishedAt
		r.ExitCode = exit.ExitCode
		r.OOMKilled = exit.OOMKilled
		r.RestartCount = exit.RestartCount
		r.StoppedByUser = exit.StoppedByUser
		r.Error = exit.Error
		return
	}
	r.FinishedAt = now
	r.ExitCode = lostMonitorExit
	r.Error = "its monitor was killed, and the machine with it"
	if !errors.Is(exitErr, fs.ErrNotExist) {
		r.Error = fmt.Sprintf("its exit record cannot be read: %v", exitErr)
	}
}

// neverRan is what becomes of a record that says starting when the first process
// did not come to run: as in Podman the container stays what it was, created or
// ended as it last did, and only the reason is new. One that is to be removed at
// its end has reached it.
func neverRan(r *container.Record, spec container.Spec, code int, why string, now time.Time) {
	r.Error = why
	if spec.AutoRemove {
		r.State, r.ExitCode, r.FinishedAt = container.Exited, code, now
		return
	}
	r.State = container.Exited
	if r.FinishedAt.IsZero() {
		r.State = container.Created
	}
}

// restarting is what a monitor says of itself between two runs.
const restarting = "restarting"

// readStatus reads what a living monitor says.
func readStatus(files paths.Container) (*monitor.Status, error) {
	b, err := os.ReadFile(files.Status())
	if err != nil {
		return nil, fmt.Errorf("read the monitor's status: %w", err)
	}
	var s monitor.Status
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("read the monitor's status %s: %w", files.Status(), err)
	}
	return &s, nil
}

// readExit reads how the container last ended.
func readExit(files paths.Container) (*monitor.Exit, error) {
	b, err := os.ReadFile(files.Exit())
	if err != nil {
		return nil, err
	}
	var x monitor.Exit
	if err := json.Unmarshal(b, &x); err != nil {
		return nil, err
	}
	return &x, nil
}

// clearRunFiles removes what a dead monitor left: sockets and status, wherever it
// had them, and what it had written into its lock. The locks stay, for others
// may have them open.
func clearRunFiles(files paths.Container) {
	at := reached(files)
	for _, path := range []string{at.Status(), at.AttachSocket(), at.AgentSocket()} {
		_ = os.Remove(path) // a leftover is harmless: it is replaced at the next start
	}
	_ = os.Truncate(files.LiveLock(), 0) // so is this: nobody reads it before the next monitor writes it
}

// requireState returns a *container.StateError unless c is one of the allowed states.
func requireState(c container.Container, verb, hint string, allowed ...container.State) error {
	for _, s := range allowed {
		if c.Record.State == s {
			return nil
		}
	}
	return &container.StateError{Name: c.Spec.Name, Have: c.Record.State, Verb: verb, Hint: hint}
}
