package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/store"
)

// Remove removes containers with all they have on disk. Running ones are
// refused unless Force stops them first.
func (e *Engine) Remove(ctx context.Context, sel Selection, opts RemoveOptions) []Result {
	return e.each(ctx, sel, nil, sharesTree, func(ctx context.Context, c chosen) error {
		return e.remove(ctx, c.Container, c.live, opts)
	})
}

// removeAttempts is how often a removal by force stops a container that other
// commands keep starting.
const removeAttempts = 5

// remove removes one container, which runs unless live is nil.
func (e *Engine) remove(ctx context.Context, c container.Container, live *monitor.Status, opts RemoveOptions) error {
	for attempt := 1; ; attempt++ {
		if live != nil {
			if !opts.Force {
				return &container.StateError{Name: c.Spec.Name, Have: shownState(c, live), Verb: "remove", Hint: "stop it first, or use --force"}
			}
			if err := e.stop(ctx, c, StopOptions{TimeoutSeconds: opts.TimeoutSeconds}); err != nil {
				return err
			}
		}
		_, err := e.finishRemoval(ctx, c)
		if !errors.Is(err, errStartedMeanwhile) {
			return err
		}
		if !opts.Force || attempt == removeAttempts {
			return &container.StateError{Name: c.Spec.Name, Have: container.Running, Verb: "remove", Hint: "it was started meanwhile; use --force, and see what starts it"}
		}
		if c, live, err = e.find(ctx, c.Spec.ID); errors.Is(err, errNoContainer) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// errStartedMeanwhile reports that a container to be removed runs.
var errStartedMeanwhile = errors.New("it was started meanwhile")

// finishRemoval removes a container that does not run: first the state says
// so, then the disks go, then the row, so that whoever comes after an
// interruption can go on. Last go the locks: who waits for one finds no row. It
// reports whether the container is gone; one that runs is errStartedMeanwhile.
func (e *Engine) finishRemoval(ctx context.Context, c container.Container) (bool, error) {
	files := e.dirs.Container(c.Spec.ID)
	if err := os.MkdirAll(files.Data, 0o700); err != nil {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	op, err := filelock.Lock(ctx, files.OpLock())
	if errors.Is(err, os.ErrNotExist) { // the directory went while waiting: another command was faster
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	defer op.Close()
	if held, err := filelock.Held(files.LiveLock()); err != nil || held {
		if held {
			err = fmt.Errorf("container %s: %w", c.Spec.Name, errStartedMeanwhile)
		}
		return false, err
	}
	db, err := e.state(ctx)
	if err != nil {
		return false, err
	}
	err = db.Update(ctx, c.Spec.ID, func(r *container.Record) error { return settleRecord(r, c.Spec, files) })
	if err == nil {
		err = db.Update(ctx, c.Spec.ID, func(r *container.Record) error { r.State = container.Removing; return nil })
	}
	if errors.Is(err, errNoContainer) {
		return true, removeFiles(files) // another command was faster
	}
	e.opts.Timing.Mark("write down that it is removed")
	// On a full disk the files go first, and make room for the rest.
	if err != nil && !errors.Is(err, store.ErrFull) {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	if err := e.dropRootfs(ctx, c.Spec); err != nil {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	if err := removeData(files); err != nil {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	if c.Spec.Log.Path != "" && c.Spec.Log.Path != files.Log() {
		// A log the user put elsewhere goes with the container too, as in Podman.
		if err := os.Remove(c.Spec.Log.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			e.opts.Notice(fmt.Sprintf("the log of container %s stays: %v", c.Spec.Name, err))
		}
	}
	e.opts.Timing.Mark("remove its disks and files")
	if err := db.Delete(ctx, c.Spec.ID); err != nil && !errors.Is(err, errNoContainer) {
		return false, fmt.Errorf("remove container %s: %w", c.Spec.Name, err)
	}
	e.opts.Timing.Mark("delete its row")
	return true, removeFiles(files)
}

// removeData removes what a container has on disk but its locks.
func removeData(files paths.Container) error {
	entries, err := os.ReadDir(files.Data)
	for _, entry := range entries {
		path := filepath.Join(files.Data, entry.Name())
		if path != files.OpLock() && path != files.LiveLock() {
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// removeFiles removes both directories of a container. Commands that wait for a
// lock may make its file anew while its directory is being emptied.
func removeFiles(files paths.Container) error {
	errs := []error{os.RemoveAll(files.Run)}
	entries, err := os.ReadDir(files.Data)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, err)
	}
	// The lock goes last: from then on the directory may be somebody else's, who makes
	// the container again, and is not to be emptied.
	for _, entry := range entries {
		if path := filepath.Join(files.Data, entry.Name()); path != files.OpLock() {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	for _, path := range []string{files.OpLock(), files.Data} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Release is the body of the hidden verb "release", a monitor's last act: it
// removes a container that was to be removed at its end and whose user is gone,
// and unmounts the shared tree of one that stays.
func (e *Engine) Release(ctx context.Context, id string) error {
	c, live, err := e.find(ctx, id) // removes an ended --rm container on the way
	if errors.Is(err, errNoContainer) {
		return nil
	}
	if err != nil {
		return err
	}
	if live != nil {
		return nil // started again meanwhile
	}
	files := e.dirs.Container(id)
	op, err := filelock.Lock(ctx, files.OpLock())
	if errors.Is(err, fs.ErrNotExist) { // it is being removed, and its tree with it
		return nil
	}
	if err != nil {
		return fmt.Errorf("release container %s: %w", c.Spec.Name, err)
	}
	defer op.Close()
	// Whoever had the lock may have mounted the tree for a new start.
	if held, err := filelock.Held(files.LiveLock()); err != nil || held {
		return err
	}
	return e.releaseRootfs(ctx, c.Spec)
}
