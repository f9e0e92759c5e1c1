package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/pkg/bundle"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/unixsock"
)

// Start starts the process of a created container.
func (r *OCIRuntime) Start(ctx context.Context, id string) error {
	rec, status, err := r.loadStatus(id)
	if err != nil {
		return err
	}
	if status != specs.StateCreated {
		return fmt.Errorf("container %q: cannot start a container that is %s", id, status)
	}
	conn, err := unixsock.Dial(ctx, r.dir(id).start())
	if err != nil {
		return fmt.Errorf("start container %q: %w", id, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var rep monitor.Report
	if err := json.NewDecoder(bufio.NewReader(conn)).Decode(&rep); err != nil {
		return fmt.Errorf("start container %q: its machine ended: %w", id, err)
	}
	if rep.Event != monitor.ReportStarted {
		// The caller's next word is delete, which wants it ended.
		ending, cancel := context.WithTimeout(ctx, forceTime)
		defer cancel()
		_ = filelock.AwaitFree(ending, r.dir(id).files().LiveLock()) // delete says so if it has not
		return &ExitError{Code: rep.ExitCode, Err: errors.New(rep.Error)}
	}
	b, err := bundle.Read(rec.Bundle)
	if err != nil || b.Config.Hooks == nil {
		return nil //nolint:nilerr // the bundle was good when the container was made; it runs
	}
	if err := bundle.RunHooks(ctx, "poststart", b.Config.Hooks.Poststart, r.hookState(rec, specs.StateRunning)); err != nil {
		r.eng.opts.Log.Warn(err.Error()) // runtime-spec: logged, and the container goes on
	}
	return nil
}

func (r *OCIRuntime) hookState(rec ociRecord, status specs.ContainerState) specs.State {
	return specs.State{Version: specs.Version, ID: rec.ID, Status: status, Pid: rec.PID, Bundle: rec.Bundle, Annotations: rec.Annotations}
}

func (r *OCIRuntime) loadStatus(id string) (ociRecord, specs.ContainerState, error) {
	rec, err := r.load(id)
	if err != nil {
		return rec, "", err
	}
	status, err := r.status(rec)
	return rec, status, err
}

// Kill sends a signal to a container's process. One that was not started ends by
// any signal that would end it.
func (r *OCIRuntime) Kill(ctx context.Context, id string, sig int) error {
	rec, status, err := r.loadStatus(id)
	if err != nil {
		return err
	}
	switch status {
	case specs.StateRunning:
		if r.dir(id).borrows() {
			return r.killStep(ctx, rec, sig)
		}
		return monitorGone(id, monitor.Kill(ctx, r.dir(id).files().AttachSocket(), agentID(id), sig, true))
	case specs.StateCreated:
		switch unix.Signal(sig) {
		case unix.SIGKILL, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT:
			return r.endShim(rec, unix.SIGTERM)
		case 0:
			return nil
		}
		return fmt.Errorf("container %q: signal %d before it is started: nobody would take it", id, sig)
	}
	return fmt.Errorf("container %q: container not running", id)
}

// endShim signals a shim that holds the container's lock: it cannot be another
// process by now.
func (r *OCIRuntime) endShim(rec ociRecord, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(rec.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("container %q: %w", rec.ID, err)
	}
	defer unix.Close(fd)
	held, err := filelock.Held(r.dir(rec.ID).files().LiveLock())
	if err != nil || !held {
		return err
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("container %q: %w", rec.ID, err)
	}
	return nil
}

// forceTime is how long a forced removal waits before it ends the machine itself.
const forceTime = 8 * time.Second

// Delete removes what there is of a container that has ended; with force one that
// runs is killed, and one that does not exist is no error.
func (r *OCIRuntime) Delete(ctx context.Context, id string, force bool) error {
	rec, status, err := r.loadStatus(id)
	if force && errors.Is(err, ErrNoOCIContainer) {
		if err := checkOCIID(id); err != nil {
			return err
		}
		return r.remove(id) // what a killed create has left, if anything
	}
	if err != nil {
		return err
	}
	if status != specs.StateStopped && !force {
		return fmt.Errorf("container %q: cannot delete a container that is %s: stop it, or use --force", id, status)
	}
	if status == specs.StateRunning || status == specs.StateCreated {
		if err := r.forceEnd(ctx, rec); err != nil {
			return err
		}
	}
	if err := r.remove(id); err != nil {
		return err
	}
	b, err := bundle.Read(rec.Bundle)
	if err != nil || b.Config.Hooks == nil {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.eng.opts.Log.Warn("poststop hooks are not run", "error", err)
		}
		return nil
	}
	state := r.hookState(rec, specs.StateStopped)
	state.Pid = 0
	if err := bundle.RunHooks(ctx, "poststop", b.Config.Hooks.Poststop, state); err != nil {
		r.eng.opts.Log.Warn(err.Error()) // runtime-spec: logged, and the removal goes on
	}
	return nil
}

// forceEnd ends a container's machine, by its monitor if that does it in time.
func (r *OCIRuntime) forceEnd(ctx context.Context, rec ociRecord) error {
	files := r.dir(rec.ID).files()
	_ = r.Kill(ctx, rec.ID, int(unix.SIGKILL)) // what does not help is followed by more
	waiting, cancel := context.WithTimeout(ctx, forceTime)
	defer cancel()
	if filelock.AwaitFree(waiting, files.LiveLock()) == nil {
		return nil
	}
	if err := r.endShim(rec, unix.SIGKILL); err != nil {
		return err
	}
	waiting, cancel = context.WithTimeout(ctx, forceTime)
	defer cancel()
	if err := filelock.AwaitFree(waiting, files.LiveLock()); err != nil {
		return fmt.Errorf("container %q does not end: %w", rec.ID, err)
	}
	return nil
}
