package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/image"
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
	if image.InUserNamespace() {
		e.sweepLayers(ctx)
	}
}

// markLayer notes that a layer for the container id is about to be made in the
// image store. No directory of vpod's tells of it, and only the row, which comes
// after it, makes it a container's: a create that is killed in between leaves the
// mark with the layer.
func (e *Engine) markLayer(id string) error {
	if err := os.MkdirAll(e.dirs.Layers(), 0o700); err != nil {
		return fmt.Errorf("mark a layer under way: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(e.dirs.Layers(), id), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("mark a layer under way: %w", err)
	}
	// The store's own record is durable; so must this be.
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("mark a layer under way: %w", err)
	}
	return nil
}

// unmarkLayer says that the layer is a container's, or was never made.
func (e *Engine) unmarkLayer(id string) {
	err := os.Remove(filepath.Join(e.dirs.Layers(), id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.opts.Log.Warn("remove the mark of a layer", "container", id, "error", err) // the next sweep tries again
	}
}

// sweepLayers deletes the layers of containers that never came to be. The caller
// may open the image store; it stays closed when there is nothing to do.
func (e *Engine) sweepLayers(ctx context.Context) {
	entries, err := os.ReadDir(e.dirs.Layers())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.opts.Log.Warn("look for layers left over", "error", err)
	}
	for _, entry := range entries {
		id := entry.Name()
		if err := e.sweepLayer(ctx, id); err != nil && !errors.Is(err, filelock.ErrHeld) && !errors.Is(err, fs.ErrNotExist) {
			e.opts.Log.Warn("remove a layer left over", "container", id, "error", err)
		}
	}
}

func (e *Engine) sweepLayer(ctx context.Context, id string) error {
	files := e.dirs.Container(id)
	if err := os.MkdirAll(files.Data, 0o700); err != nil {
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
	_, err = db.Get(ctx, id)
	switch {
	case err == nil: // it came to be, and its maker was killed just then
		e.unmarkLayer(id)
		return nil
	case !errors.Is(err, errNoContainer):
		return err
	}
	e.opts.Log.Info("remove a layer left over", "container", id)
	if err := e.images().DeleteLayer(ctx, id); err != nil {
		return err
	}
	e.unmarkLayer(id)
	return removeFiles(files)
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
	if err := os.MkdirAll(files.Data, 0o700); err != nil { // gone already, where a removal was killed at its end
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
