package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/rootfs"
)

// List returns the containers ps shows, the newest first.
func (e *Engine) List(ctx context.Context, opts ListOptions) ([]Listed, error) {
	match, err := parseFilters(opts.Filters)
	if err != nil {
		return nil, err
	}
	all, err := e.observeAll(ctx)
	if err != nil {
		return nil, err
	}
	inAnyState := opts.All || opts.Latest || opts.Last > 0 || filtersStates(opts.Filters)
	var out []Listed
	for _, c := range slices.Backward(all) {
		if (!inAnyState && c.live == nil) || !match(c, all) {
			continue
		}
		row := listed(c.Container, c.live)
		if opts.Size {
			if row.Size, err = e.sizeOf(c.Container); err != nil {
				return nil, err
			}
		}
		out = append(out, row)
		if opts.Latest || (opts.Last > 0 && len(out) == opts.Last) {
			break
		}
	}
	return out, nil
}

// filtersStates reports whether a filter itself says which states are wanted.
func filtersStates(filters []string) bool {
	return slices.ContainsFunc(filters, func(f string) bool {
		return len(f) > 7 && (f[:7] == "status=" || f[:7] == "exited=")
	})
}

// Get returns one container as it truly is.
func (e *Engine) Get(ctx context.Context, nameOrID string) (Listed, error) {
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return Listed{}, err
	}
	return listed(c, live), nil
}

// listed joins a container with what its monitor says.
func listed(c container.Container, live *monitor.Status) Listed {
	row := Listed{Container: c}
	if live == nil {
		return row
	}
	row.Live = Live{
		State:        live.State,
		MonitorPID:   live.MonitorPID,
		QEMUPID:      live.QEMUPID,
		StartedAt:    live.StartedAt,
		RestartCount: live.RestartCount,
		Accel:        live.Accel,
		Board:        live.Board,
		Template:     live.Template,
		Kernel:       live.Kernel,
	}
	for _, p := range live.Ports {
		row.Live.Ports = append(row.Live.Ports, container.PortMapping{
			HostIP: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ContainerPort, Range: 1, Protocol: p.Protocol,
		})
	}
	if row.Live.StartedAt.IsZero() {
		row.Live.StartedAt = c.Record.StartedAt
	}
	if live.State == restarting { // the record learns of it at the end
		row.Record.ExitCode = live.ExitCode
	}
	return row
}

// sizeOf measures what a container takes of the disk, without asking its guest.
func (e *Engine) sizeOf(c container.Container) (*Size64, error) {
	var size Size64
	if c.Spec.Rootfs.Mode != container.RootfsDisk {
		return &size, nil // its layer is in the image store, which ps does not open
	}
	var err error
	if c.Spec.HasScratch() {
		if size.Writable, err = rootfs.ScratchUsage(e.dirs.Container(c.Spec.ID).Scratch(), e.dirs.Cache()); err != nil && !errors.Is(err, fs.ErrNotExist) { // as of one that is being removed
			return nil, fmt.Errorf("size of container %s: %w", c.Spec.Name, err)
		}
	}
	image, err := os.Stat(e.imageDisk(c.Spec.Image.ID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("size of container %s: %w", c.Spec.Name, err)
	}
	size.Root = size.Writable
	if err == nil {
		size.Root += image.Size()
	}
	return &size, nil
}

// Running reports whether the row's first process runs, or is about to again.
func (l Listed) Running() bool { return l.Live.State != "" }

// ShownState is the state users and scripts see.
func (l Listed) ShownState() string {
	if l.Live.State != "" {
		return l.Live.State
	}
	return string(l.Record.State)
}

// Since is when the row's state began: the start of a running container, the end
// of an ended one, the creation of a new one.
func (l Listed) Since() time.Time {
	switch {
	case l.Running():
		return l.Live.StartedAt
	case l.Record.State == container.Created:
		return l.Spec.Created
	}
	return l.Record.FinishedAt
}
