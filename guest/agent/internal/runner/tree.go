package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"vpod/guest/agent/internal/rootfs"
	"vpod/guest/agent/internal/tree"
	"vpod/pkg/agentproto"
)

// freezeLimit bounds how long a reader may keep a container from writing.
const freezeLimit = 10 * time.Minute

// diskWait bounds the wait for disks that are still to be found.
const diskWait = 20 * time.Second

// ReadTree writes the files of a container as req asks. begin is called once nothing
// but reading is left to be done, and returns where they go. A container's end ends it.
func (r *Runner) ReadTree(ctx context.Context, id string, req *agentproto.TreeRequest, begin func() (io.Writer, error)) error {
	if req.Rootfs != nil {
		return fail(agentproto.ErrSetup, r.readStopped(ctx, id, req, begin))
	}
	c, err := r.Container(id)
	if err != nil {
		return err
	}
	ctx, done, err := c.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	return fail(agentproto.ErrInternal, r.readRoot(ctx, c.root, req, begin))
}

// readStopped assembles a root file system for one reader.
func (r *Runner) readStopped(ctx context.Context, id string, req *agentproto.TreeRequest, begin func() (io.Writer, error)) (err error) {
	if err := r.reserve(id); err != nil {
		return err
	}
	defer r.settle(id, nil)
	dir := filepath.Join(r.dir, id)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	limited, cancel := context.WithTimeout(ctx, diskWait)
	root, err := rootfs.Assemble(limited, dir, *req.Rootfs, &r.disks)
	cancel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Dismantle()) }()
	return r.readRoot(ctx, root, &agentproto.TreeRequest{Kind: req.Kind, Exclude: req.Exclude}, begin)
}

// readRoot reads an assembled root file system.
func (r *Runner) readRoot(ctx context.Context, root *rootfs.Root, req *agentproto.TreeRequest, begin func() (io.Writer, error)) (err error) {
	if root.Upper == "" && tree.NeedsLayers(req.Kind) {
		return failf(agentproto.ErrBadRequest, "the container's files are shared with the host, which knows what was changed")
	}
	merged := root.Dir
	if req.Freeze && root.Scratch != "" {
		frozen, thaw, err := r.freeze(ctx, root.Scratch)
		if err != nil {
			return err
		}
		defer thaw()
		ctx = frozen
		if req.Kind == agentproto.TreeMerged {
			view, unmount, err := root.ViewFrozen()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, unmount()) }()
			merged = view
		}
	}
	w, err := begin()
	if err != nil {
		return err
	}
	return tree.Write(ctx, w, tree.Source{Merged: merged, Lower: root.Lower, Upper: root.Upper}, req.Kind, req.Exclude)
}

// freeze freezes a file system until thaw is called, ctx ends or freezeLimit is over.
// The context it returns ends with the frost.
func (r *Runner) freeze(ctx context.Context, dir string) (_ context.Context, thaw func(), err error) {
	select {
	case r.freezing <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	warm, err := tree.Freeze(dir)
	if err != nil {
		<-r.freezing
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, freezeLimit,
		fmt.Errorf("to read it took longer than %s, for which nobody could write to it", freezeLimit))
	thawed := make(chan struct{})
	context.AfterFunc(ctx, func() {
		if err := warm(); err != nil {
			r.logf("%v", err)
		}
		<-r.freezing
		close(thawed)
	})
	return ctx, func() { cancel(); <-thawed }, nil
}

// reader is somebody who reads the container's files.
type reader struct{ cancel context.CancelCauseFunc }

// reading keeps the container's root file system assembled until done is called. The
// context ends when the container does.
func (c *Container) reading(ctx context.Context) (_ context.Context, done func(), err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	me := &reader{cancel}
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		cancel(nil)
		return nil, nil, failf(agentproto.ErrNoContainer, "container %s has ended", c.ID)
	}
	c.readers = append(c.readers, me)
	c.mu.Unlock()
	c.busy.RLock()
	return ctx, func() {
		cancel(nil)
		c.mu.Lock()
		c.readers = slices.DeleteFunc(c.readers, func(r *reader) bool { return r == me })
		c.mu.Unlock()
		c.busy.RUnlock()
	}, nil
}

// interruptReaders has all who read the container's files stop.
func (c *Container) interruptReaders() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.readers {
		r.cancel(failf(agentproto.ErrNoContainer, "container %s has ended", c.ID))
	}
}
