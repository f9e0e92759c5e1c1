package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/paths"
)

// sweep removes the directories of containers that never came to be, or are
// gone: what a create or a removal left that was killed in between. known are
// the containers there are. It is quick when there is nothing to do, and what it
// cannot do is left to the next one.
func (e *Engine) sweep(ctx context.Context, known []container.Container) {
	ids := make(map[string]bool, len(known))
	for _, c := range known {
		ids[c.Spec.ID] = true
	}
	for _, dir := range []string{e.dirs.Containers(), filepath.Dir(e.dirs.Container("x").Run)} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			e.opts.Log.Warn("look for leftovers", "error", err)
		}
		for _, entry := range entries {
			if id := entry.Name(); len(id) == idDigits && !ids[id] {
				e.sweepOne(ctx, id)
				ids[id] = true // once is enough
			}
		}
	}
}

// sweepOne removes what lies on disk of a container without a row. A command
// that makes or removes one holds its operation lock.
func (e *Engine) sweepOne(ctx context.Context, id string) {
	files := e.dirs.Container(id)
	err := e.removeLeftover(ctx, id, files)
	if err != nil && !errors.Is(err, filelock.ErrHeld) && !errors.Is(err, fs.ErrNotExist) {
		e.opts.Log.Warn("remove leftovers", "container", id, "error", err)
	}
}

func (e *Engine) removeLeftover(ctx context.Context, id string, files paths.Container) error {
	if err := os.MkdirAll(files.Run, 0o700); err != nil { // gone since a reboot, maybe
		return err
	}
	op, err := filelock.TryLock(files.OpLock())
	if err != nil {
		return err
	}
	defer op.Close()
	db, err := e.state(ctx)
	if err != nil {
		return err
	}
	// Only now is the answer sure; a damaged row is a row.
	if _, err := db.Get(ctx, id); !errors.Is(err, errNoContainer) {
		return err
	}
	if held, err := filelock.Held(files.LiveLock()); err != nil || held {
		return err
	}
	e.opts.Log.Info("remove leftovers", "container", id)
	return removeFiles(files)
}
