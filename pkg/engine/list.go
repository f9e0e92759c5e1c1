package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
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
	return row
}

// sizeOf measures what a container takes of the disk, without asking its guest.
func (e *Engine) sizeOf(c container.Container) (*Size64, error) {
	writable, err := allocated(e.dirs.Container(c.Spec.ID).Scratch())
	if err != nil {
		return nil, fmt.Errorf("size of container %s: %w", c.Spec.Name, err)
	}
	image, err := allocated(e.imageDisk(c.Spec.Image.ID))
	if err != nil {
		return nil, fmt.Errorf("size of container %s: %w", c.Spec.Name, err)
	}
	return &Size64{Writable: writable, Root: writable + image}, nil
}

// allocated returns the bytes a file takes of the disk; 0 when there is none.
func allocated(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return info.Size(), nil
	}
	return st.Blocks * 512, nil
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
