// Package runner makes containers and starts processes in them.
//
// A container's root, namespaces and first process are made on a thread that is
// given up afterwards: it unshares, mounts, changes its root, and starts the
// process, which inherits all of it. See thread.go and guest/agent/README.md.
//
// Package service turns requests into calls of this one; what fails here fails
// with an *agentproto.Error, for the host to read.
package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/cgroup"
	"vpod/guest/agent/internal/device"
	"vpod/guest/agent/internal/reaper"
	"vpod/pkg/agentproto"
)

// StateDir holds a directory per container, on the machine's own tmpfs.
const StateDir = "/run/vpod"

// Runner holds the containers of the machine. Use New.
type Runner struct {
	dir    string // StateDir
	reaper *reaper.Reaper
	logf   func(format string, args ...any)

	procFD int // /proc of the machine
	ptsFD  int // /dev/pts of the machine
	exeFD  int // the agent's own executable

	disks  device.Disks
	groups *cgroup.Pool

	mu         sync.Mutex
	containers map[string]*Container // a nil one is being made
	keptBytes  int64                 // of memory, from containers; 0 until there is one
	down       bool

	freezing chan struct{} // holds one while a file system is frozen
}

// New returns a Runner that keeps what it needs in dir, StateDir, which it makes.
// There may be one only, as it collects every child of the process. logf writes to
// the machine's console.
func New(dir string, logf func(format string, args ...any)) (*Runner, error) {
	r := &Runner{dir: dir, reaper: reaper.New(), logf: logf, groups: cgroup.NewPool(cgroup.Root), containers: make(map[string]*Container),
		freezing: make(chan struct{}, 1)}
	for path, fd := range map[string]*int{"/proc": &r.procFD, "/dev/pts": &r.ptsFD, "/proc/self/exe": &r.exeFD} {
		n, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		*fd = n
	}
	return r, os.MkdirAll(dir, 0o700)
}

// fail makes the error the host gets.
func fail(code agentproto.ErrorCode, err error) error {
	var have *agentproto.Error
	if err == nil || errors.As(err, &have) {
		return err
	}
	return &agentproto.Error{Code: code, Message: err.Error()}
}

func failf(code agentproto.ErrorCode, format string, args ...any) error {
	return &agentproto.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// reserve claims an id for a container to be made.
func (r *Runner) reserve(id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return failf(agentproto.ErrSetup, "the machine is being shut down")
	}
	if _, ok := r.containers[id]; ok {
		return failf(agentproto.ErrExists, "container %s exists", id)
	}
	r.containers[id] = nil
	return nil
}

// settle ends what reserve began: with c nil the id is free again.
func (r *Runner) settle(id string, c *Container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c == nil {
		delete(r.containers, id)
		return
	}
	r.containers[id] = c
}

// Container returns a container by its id.
func (r *Runner) Container(id string) (*Container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.containers[id]
	if c == nil {
		return nil, failf(agentproto.ErrNoContainer, "no container %s", id)
	}
	return c, nil
}

// Remove forgets a container whose first process has ended, with all its
// processes, and takes its root file system apart.
func (r *Runner) Remove(c *Container) error {
	if c.running() {
		return failf(agentproto.ErrBadRequest, "container %s still runs", c.ID)
	}
	r.mu.Lock()
	if r.containers[c.ID] != c {
		r.mu.Unlock()
		return failf(agentproto.ErrNoContainer, "no container %s", c.ID)
	}
	r.containers[c.ID] = nil // its id stays taken until it is gone
	r.mu.Unlock()
	defer r.settle(c.ID, nil)
	err := c.destroy()
	r.groups.Fill() // while nobody waits
	return fail(agentproto.ErrSetup, err)
}

// killWait bounds the wait of Shutdown for killed processes to be collected.
const killWait = 10 * time.Second

// Shutdown kills every container and, with sync, unmounts their disks cleanly.
// No container can be made afterwards.
func (r *Runner) Shutdown(ctx context.Context, sync bool) error {
	r.mu.Lock()
	r.down = true
	var all []*Container
	for _, c := range r.containers {
		if c != nil {
			all = append(all, c)
		}
	}
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	var errs []error
	for _, c := range all {
		c.interruptReaders() // what waits for a frozen file system cannot be killed
		errs = append(errs, c.kill())
	}
	for _, c := range all {
		select {
		case <-c.init.Done():
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("container %s: its first process does not end", c.ID))
		}
		if !sync {
			continue
		}
		errs = append(errs, c.destroy())
		r.settle(c.ID, nil)
	}
	if sync {
		unix.Sync()
	}
	return fail(agentproto.ErrSetup, errors.Join(errs...))
}

// availableMemory is what containers may use of the machine's memory, in bytes.
// The first container finds out what must be left.
func (r *Runner) availableMemory() (int64, error) {
	total, err := MemoryBytes()
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keptBytes == 0 {
		if r.keptBytes, err = cgroup.Reserve("/proc/meminfo"); err != nil {
			return 0, err
		}
	}
	return total - r.keptBytes, nil
}

// MemoryBytes returns the machine's memory.
func MemoryBytes() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("size of memory: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit), nil
}

func (c *Container) dir() string { return filepath.Join(c.runner.dir, c.ID) }

func (c *Container) filesDir() string { return c.dir() + "/files" }
