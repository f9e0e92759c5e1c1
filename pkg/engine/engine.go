// Package engine decides: one method per verb, each of which loads the state,
// checks it, acts through the workshops and saves what became of it.
//
// It prints nothing and never exits. The one caller is pkg/cli; the one
// long-lived thing it starts is the monitor of a container. plan.go and
// resolve.go, which turn a Spec and an image into orders for the monitor, are
// pure.
package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"vpod/pkg/image"
	"vpod/pkg/paths"
	"vpod/pkg/store"
	"vpod/pkg/timing"
)

// Options are what the door knows before any verb runs.
type Options struct {
	Paths paths.Override // --root, --runroot; the image store follows them too

	Kernel    string // guest kernel; "" is the one installed with vpod
	Initramfs string // "" is the one installed with vpod

	Log    *slog.Logger      // debugging; never nil
	Notice func(line string) // one line for a person, as "waiting for another process …"; never nil

	Timing *timing.Recorder // takes what a start does when; nil when nobody asks
}

// Engine carries out verbs. It opens the database and the image store at the
// first verb that needs them. Its methods may be called by several goroutines.
type Engine struct {
	opts Options
	dirs paths.Dirs

	mu         sync.Mutex
	db         *store.Store
	imageStore *image.Store
	expected   *monitorProcess // started ahead, for a container that is being made
}

// New returns an engine; it opens nothing yet. The caller closes it.
func New(opts Options) (*Engine, error) {
	dirs, err := paths.Default(realUID(), getenv, opts.Paths)
	if err != nil {
		return nil, err
	}
	return &Engine{opts: opts, dirs: dirs}, nil
}

// Close closes what the verbs have opened.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dismiss()
	var first error
	if e.db != nil {
		first = e.db.Close()
		e.db = nil
	}
	if e.imageStore != nil {
		if err := e.imageStore.Close(); first == nil {
			first = err
		}
		e.imageStore = nil
	}
	return first
}

// state opens the database at first use.
func (e *Engine) state(ctx context.Context) (*store.Store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.db != nil {
		return e.db, nil
	}
	if err := e.dirs.Make(); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, e.dirs.Database())
	if err != nil {
		return nil, fmt.Errorf("open vpod's state: %w", err)
	}
	e.db = db
	return db, nil
}
