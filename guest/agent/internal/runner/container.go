package runner

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/cgroup"
	"vpod/guest/agent/internal/mounts"
	"vpod/guest/agent/internal/rootfs"
	"vpod/guest/agent/internal/spawn"
	"vpod/guest/agent/internal/stopwatch"
	"vpod/pkg/agentproto"
)

// Container is a container whose first process has been started.
type Container struct {
	ID string

	runner *Runner
	ns     namespaces
	group  *cgroup.Group
	root   *rootfs.Root
	init   *Process

	personality *uint32 // of every process
	memory      *spawn.MemoryPolicy

	// busy is held for reading while a process is started, so that what it uses
	// (the first one's pidfd, the group) is not let go of.
	busy sync.RWMutex

	mu        sync.Mutex
	processes map[string]*Process // nil: id reserved
	gone      bool
	readers   []*reader // of its files; see tree.go
	sockets   []*net.UnixListener
}

// Create makes a container and starts its first process. ready is called before
// the process is started, when everything else is done: what it waits for happens
// at the same time. On failure nothing of the container remains.
func (r *Runner) Create(ctx context.Context, id string, spec *agentproto.Container, p *agentproto.Process, ready func() error, watch *stopwatch.Watch) (_ *Process, err error) {
	if err := refuse(&spec.OCI); err != nil {
		return nil, fail(agentproto.ErrBadRequest, err)
	}
	ns, err := parseNamespaces(spec.OCI.Linux)
	if err != nil {
		return nil, fail(agentproto.ErrBadRequest, err)
	}
	if spec.OCI.Hostname+spec.OCI.Domainname != "" && !ns.has(unix.CLONE_NEWUTS) {
		return nil, failf(agentproto.ErrBadRequest, "a host or domain name needs a UTS namespace of its own")
	}
	if err := r.reserve(id); err != nil {
		return nil, err
	}
	c := &Container{ID: id, runner: r, ns: ns, processes: make(map[string]*Process)}
	if err := c.takeLinux(spec.OCI.Linux); err != nil {
		r.settle(id, nil)
		return nil, fail(agentproto.ErrBadRequest, err)
	}
	defer func() {
		if err != nil {
			if e := c.destroy(); e != nil {
				r.logf("undo container %s: %v", id, e)
			}
			c = nil
		}
		r.settle(id, c)
	}()
	if err := c.prepare(ctx, spec, watch); err != nil {
		return nil, fail(agentproto.ErrSetup, err)
	}
	c.init, err = c.startFirst(ctx, spec, p, ready, watch)
	if err != nil {
		return nil, fail(agentproto.ErrSetup, err)
	}
	if e := c.group.Watch(r.logf); e != nil {
		r.logf("container %s: %v", id, e) // without it the container runs as well
	}
	return c.init, nil
}

// takeLinux keeps what every process of the container gets.
func (c *Container) takeLinux(l *specs.Linux) (err error) {
	if l == nil {
		return nil
	}
	if c.personality, err = parsePersonality(l.Personality); err != nil {
		return err
	}
	c.memory, err = parseMemoryPolicy(l.MemoryPolicy)
	return err
}

// prepare makes what the container has outside its namespaces.
func (c *Container) prepare(ctx context.Context, spec *agentproto.Container, watch *stopwatch.Watch) (err error) {
	if c.group, err = c.runner.groups.Take(); err != nil {
		return err
	}
	available, err := c.runner.availableMemory()
	if err != nil {
		return err
	}
	if spec.OCI.Linux != nil {
		err = c.group.Apply(spec.OCI.Linux.Resources, available)
	} else {
		err = c.group.Apply(nil, available)
	}
	if err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	watch.Lap("make the control group")
	dir := c.dir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c.root, err = rootfs.Assemble(ctx, dir, spec.Rootfs, &c.runner.disks)
	watch.Lap("assemble the root file system")
	return err
}

// startFirst makes the namespaces, furnishes the root and starts the first
// process, all on one thread.
func (c *Container) startFirst(ctx context.Context, spec *agentproto.Container, p *agentproto.Process, ready func() error, watch *stopwatch.Watch) (*Process, error) {
	l := &launch{container: c, spec: p, first: true, hostname: spec.OCI.Hostname, domainname: spec.OCI.Domainname,
		volumes: spec.Volumes, readOnly: spec.Rootfs.ReadOnly}
	if err := l.check(); err != nil {
		return nil, fail(agentproto.ErrBadRequest, err)
	}
	sockets, err := c.listen(spec.Sockets)
	if err != nil {
		return nil, err
	}
	var proc *Process
	err = onThread(func() error {
		if err := c.ns.enter(); err != nil {
			return err
		}
		watch.Lap("make the namespaces")
		f, err := mounts.Prepare(ctx, mounts.Plan{
			OCI: &spec.OCI, Binds: spec.Rootfs.Binds, Files: spec.Files, FilesDir: c.filesDir(), Sockets: sockets,
			CgroupDir: c.cgroupView(), ProcFD: c.runner.procFD, ReadOnly: spec.Rootfs.ReadOnly,
		})
		if err != nil {
			return err
		}
		defer f.Close()
		if err := mounts.Enter(c.root.Dir); err != nil {
			return err
		}
		watch.Lap("prepare mounts, enter the root")
		unix.Umask(0) // the thread's own
		if err := l.setNames(); err != nil {
			return err
		}
		l.cmd.Mounts, err = f.Furnish(l.furnish)
		watch.Lap("mount, furnish, open the streams")
		if err == nil {
			err = ready()
		}
		watch.Lap("wait for the network interface")
		if err != nil {
			l.abandon()
			return err
		}
		proc, err = l.start(agentproto.InitProcess)
		watch.Lap("execute the command")
		return err
	})
	return proc, err
}

// cgroupView is the directory a mount of control groups shows: the container's
// own with a namespace for them, else all.
func (c *Container) cgroupView() string {
	if c.ns.has(unix.CLONE_NEWCGROUP) {
		return c.group.Dir()
	}
	return cgroup.Root
}

// Exec starts one more process in the container.
func (c *Container) Exec(id string, p *agentproto.Process) (_ *Process, err error) {
	l := &launch{container: c, spec: p}
	if err := l.check(); err != nil {
		return nil, fail(agentproto.ErrBadRequest, err)
	}
	c.busy.RLock()
	defer c.busy.RUnlock()
	if err := c.reserve(id); err != nil {
		return nil, err
	}
	var proc *Process
	defer func() { c.settle(id, proc) }()
	err = onThread(func() error {
		// setns of a mount namespace takes a thread that shares its root with none.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return err
		}
		if err := unix.Setns(c.init.pidfd, c.ns.all()); err != nil {
			if errors.Is(err, unix.ESRCH) {
				return failf(agentproto.ErrNoProcess, "container %s has ended", c.ID)
			}
			return fmt.Errorf("join the container: %w", err)
		}
		unix.Umask(0)
		if _, err := l.furnish(); err != nil {
			l.abandon()
			return err
		}
		var err error
		proc, err = l.start(id)
		return err
	})
	return proc, fail(agentproto.ErrSetup, err)
}

func (c *Container) reserve(id string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || !c.running() {
		return failf(agentproto.ErrNoProcess, "container %s has ended", c.ID)
	}
	if _, ok := c.processes[id]; ok || id == agentproto.InitProcess {
		return failf(agentproto.ErrExists, "process %s of container %s exists", id, c.ID)
	}
	c.processes[id] = nil
	return nil
}

func (c *Container) settle(id string, p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p == nil {
		delete(c.processes, id)
		return
	}
	c.processes[id] = p
}

// running reports whether the first process has not ended.
func (c *Container) running() bool {
	select {
	case <-c.init.Done():
		return false
	default:
		return true
	}
}

// kill kills every process of the container.
func (c *Container) kill() error { return c.group.Kill() }

// destroy undoes the container; what was never made is skipped.
func (c *Container) destroy() error {
	var errs []error
	c.interruptReaders()
	c.closeSockets()
	if c.group != nil {
		_ = c.group.Kill() // also what is about to start; Remove tells of errors
	}
	c.busy.Lock()
	defer c.busy.Unlock()
	c.mu.Lock()
	c.gone = true
	all := []*Process{c.init}
	for _, p := range c.processes {
		all = append(all, p)
	}
	c.processes = nil
	c.mu.Unlock()
	if c.group != nil {
		errs = append(errs, c.group.Remove())
	}
	for _, p := range all {
		if p != nil {
			p.close()
		}
	}
	if c.root != nil {
		errs = append(errs, c.root.Dismantle())
	}
	errs = append(errs, os.RemoveAll(c.filesDir()))
	_ = os.Remove(c.dir())
	return errors.Join(errs...)
}
