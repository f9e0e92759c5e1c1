package runner

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/bulk"
	"vpod/guest/agent/internal/reaper"
	"vpod/pkg/agentproto"
)

// Process is a started process.
type Process struct {
	ID string

	container *Container
	child     *reaper.Child
	pidfd     int
	oomBefore uint64

	in  *bulk.Input
	out [2]*bulk.Output
	tty *os.File

	done   chan struct{}
	status agentproto.ExitStatus
}

// take makes the streams the process's.
func (p *Process) take(s *streams) {
	p.tty = s.tty
	for i, f := range s.out {
		if f != nil {
			p.out[i] = bulk.NewOutput(f)
		}
	}
	if s.in == nil {
		return
	}
	var end func() error
	if tty := s.in; s.tty != nil {
		end = func() error { return endOfFile(tty) }
	}
	p.in = bulk.NewInput(s.in, end)
}

// await waits for the end and notes how it came.
func (p *Process) await() {
	<-p.child.Done()
	ws, at := p.child.Status()
	p.status = exitStatus(ws, at)
	p.status.OOMKilled = p.container.group.OOMKills() > p.oomBefore
	// The end of the first process ends the container. Its pid namespace sees to
	// that; without one, this does.
	if p.ID == agentproto.InitProcess && !p.container.ns.has(unix.CLONE_NEWPID) {
		if err := p.container.kill(); err != nil {
			p.container.runner.logf("kill container %s: %v", p.container.ID, err)
		}
	}
	close(p.done)
}

// exitStatus puts a wait status as a shell does.
func exitStatus(ws unix.WaitStatus, at time.Time) agentproto.ExitStatus {
	s := agentproto.ExitStatus{UnixNano: at.UnixNano()}
	if ws.Signaled() {
		s.Signal = int(ws.Signal())
		s.Code = 128 + s.Signal
	} else {
		s.Code = ws.ExitStatus()
	}
	return s
}

// PID returns the process id in the machine's initial pid namespace.
func (p *Process) PID() int { return p.child.PID }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status returns how the process ended; valid once Done is closed.
func (p *Process) Status() agentproto.ExitStatus { return p.status }

// Ended returns the status, or nil while the process runs.
func (p *Process) Ended() *agentproto.ExitStatus {
	select {
	case <-p.done:
		s := p.status
		return &s
	default:
		return nil
	}
}

// Signal sends a signal to the process.
func (p *Process) Signal(sig unix.Signal) error {
	if err := p.child.Signal(sig); err != nil {
		if errors.Is(err, reaper.ErrEnded) || errors.Is(err, unix.ESRCH) {
			return failf(agentproto.ErrNoProcess, "process %s of container %s has ended", p.ID, p.container.ID)
		}
		return failf(agentproto.ErrBadRequest, "signal %d: %v", sig, err)
	}
	return nil
}

// Resize sets the size of the process's terminal.
func (p *Process) Resize(rows, cols uint16) error {
	if p.tty == nil {
		return failf(agentproto.ErrBadRequest, "process %s of container %s has no terminal", p.ID, p.container.ID)
	}
	raw, err := p.tty.SyscallConn()
	if err != nil {
		return fail(agentproto.ErrInternal, err)
	}
	cerr := raw.Control(func(fd uintptr) { err = setSize(int(fd), uint(rows), uint(cols)) })
	return fail(agentproto.ErrNoProcess, errors.Join(cerr, err))
}

// Input returns the process's standard input.
func (p *Process) Input() (*bulk.Input, error) {
	if p.in == nil {
		return nil, failf(agentproto.ErrBadRequest, "standard input of process %s of container %s is not open", p.ID, p.container.ID)
	}
	return p.in, nil
}

// Output returns the process's standard output (1) or error (2).
func (p *Process) Output(fd int) (*bulk.Output, error) {
	if fd < 1 || fd > len(p.out) || p.out[fd-1] == nil {
		return nil, failf(agentproto.ErrBadRequest, "process %s of container %s has no output %d", p.ID, p.container.ID, fd)
	}
	return p.out[fd-1], nil
}

// close lets go of everything the process had.
func (p *Process) close() {
	if p.in != nil {
		p.in.Close()
	}
	for _, o := range p.out {
		if o != nil {
			o.Close()
		}
	}
	if p.tty != nil {
		_ = p.tty.Close()
	}
	if p.pidfd >= 0 {
		_ = unix.Close(p.pidfd)
	}
}

// Process returns a process of the container.
func (c *Container) Process(id string) (*Process, error) {
	if id == agentproto.InitProcess {
		return c.init, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.processes[id]
	if p == nil {
		return nil, failf(agentproto.ErrNoProcess, "no process %s in container %s", id, c.ID)
	}
	return p, nil
}

// Forget drops a finished process and its kept output; the first one takes the
// container with it.
func (c *Container) Forget(id string) error {
	if id == agentproto.InitProcess {
		return c.runner.Remove(c)
	}
	p, err := c.Process(id)
	if err != nil {
		return err
	}
	if p.Ended() == nil {
		return failf(agentproto.ErrBadRequest, "process %s of container %s still runs", id, c.ID)
	}
	c.mu.Lock()
	mine := c.processes[id] == p
	delete(c.processes, id)
	c.mu.Unlock()
	if mine {
		p.close()
	}
	return nil
}

// List lists the container's processes: those started here, then all in its
// control group.
func (c *Container) List() (agentproto.ListReply, error) {
	reply := agentproto.ListReply{Processes: []agentproto.ProcessInfo{}, PIDs: []int{}}
	c.mu.Lock()
	all := []*Process{c.init}
	for _, p := range c.processes {
		if p != nil {
			all = append(all, p)
		}
	}
	c.mu.Unlock()
	for _, p := range all {
		reply.Processes = append(reply.Processes, agentproto.ProcessInfo{ID: p.ID, PID: p.PID(), Exit: p.Ended()})
	}
	pids, err := c.group.PIDs()
	reply.PIDs = append(reply.PIDs, pids...)
	return reply, fail(agentproto.ErrInternal, err)
}

// SignalAll sends a signal to every process of the container.
func (c *Container) SignalAll(sig unix.Signal) error {
	if sig == unix.SIGKILL {
		return fail(agentproto.ErrInternal, c.kill())
	}
	pids, err := c.group.PIDs()
	if err != nil {
		return fail(agentproto.ErrInternal, err)
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return failf(agentproto.ErrBadRequest, "signal %d: %v", sig, err)
		}
	}
	return nil
}

// groupOfFirst opens the control group the first process is in.
func (c *Container) groupOfFirst() (fd int, err error) {
	procFD := c.runner.procFD
	f, err := unix.Openat(procFD, fmt.Sprintf("%d/cgroup", c.init.PID()), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(f) }()
	buf := make([]byte, 4096)
	n, err := unix.Read(f, buf)
	if err != nil {
		return -1, err
	}
	// "0::/<id>/below"; the thread may be in the container's namespace, where
	// the container's own group is the root.
	_, at, ok := strings.Cut(strings.TrimSpace(string(buf[:n])), "0::/")
	if !ok {
		return -1, unix.ENOENT
	}
	at = strings.TrimPrefix(strings.TrimPrefix(at, c.ID), "/")
	if at == "" {
		return -1, unix.EBUSY
	}
	return unix.Openat(c.group.FD(), at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
