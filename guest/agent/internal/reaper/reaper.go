// Package reaper owns wait4: as PID 1 the agent gets every child that ends, its
// own and those orphaned in the machine's pid namespace, and exactly one
// goroutine collects them.
//
// It does not start processes; package runner does, through Start, so that a
// child is known here before its end can be collected.
package reaper

import (
	"errors"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrEnded reports a signal sent to a child that has already been collected.
var ErrEnded = errors.New("process has ended")

// Reaper collects children. Use New.
type Reaper struct {
	// forks is held for reading from before a fork until its child is in
	// children, and for writing while one is collected: no child is collected
	// before it is known, and no process id is used again meanwhile.
	forks sync.RWMutex

	mu       sync.Mutex // children
	children map[int]*Child

	born chan struct{} // a fork has happened since there were no children
}

// Child is a process started through Start.
type Child struct {
	PID    int // in the agent's pid namespace
	reaper *Reaper
	ended  func() // called once, before done is closed
	done   chan struct{}
	status unix.WaitStatus
	at     time.Time
}

// New returns a Reaper whose goroutine runs for as long as the program. There
// must be one only.
func New() *Reaper {
	ignoreSIGCHLD()
	r := &Reaper{children: make(map[int]*Child), born: make(chan struct{}, 1)}
	go r.collect()
	return r
}

// ignoreSIGCHLD takes the Go runtime's handler away: nobody here wants to be
// interrupted for a child's end, which waitid tells. The default action is to do
// nothing, and children stay to be collected. A kernel that refuses costs some time.
func ignoreSIGCHLD() {
	var sigaction [32]byte // struct sigaction of rt_sigaction(2): SIG_DFL, no flags, empty mask
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&sigaction)), 0, 8, 0, 0)
}

// Start calls fork and registers the child it returns. ended, when not nil, is
// called by the reaper as soon as the child has been collected; it must not block.
func (r *Reaper) Start(fork func() (pid int, err error), ended func()) (*Child, error) {
	r.forks.RLock()
	defer r.forks.RUnlock()
	// Also when the fork fails: its child may have lived and given up.
	defer r.wake()
	pid, err := fork()
	if err != nil {
		return nil, err
	}
	c := &Child{PID: pid, reaper: r, ended: ended, done: make(chan struct{})}
	r.mu.Lock()
	r.children[pid] = c
	r.mu.Unlock()
	return c, nil
}

func (r *Reaper) wake() {
	select {
	case r.born <- struct{}{}:
	default:
	}
}

// collect waits for children for ever. It keeps an OS thread, as the wait blocks.
func (r *Reaper) collect() {
	runtime.LockOSThread()
	for {
		pid, err := waitAny()
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil: // no children
			<-r.born
		default:
			r.take(pid)
		}
	}
}

// take collects pid, which has ended, and tells its owner.
func (r *Reaper) take(pid int) {
	r.forks.Lock()
	r.mu.Lock()
	var ws unix.WaitStatus
	got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
	c := r.children[pid]
	delete(r.children, pid)
	r.mu.Unlock()
	r.forks.Unlock()
	if err != nil || got != pid || c == nil {
		return // an orphan
	}
	c.status, c.at = ws, time.Now()
	if c.ended != nil {
		c.ended()
	}
	close(c.done)
}

// waitAny waits until some child has ended and returns its id without
// collecting it: until then the id cannot be used again.
func waitAny() (pid int, err error) {
	// siginfo_t is 128 bytes; for SIGCHLD si_pid follows three ints and padding.
	var info [128]byte
	_, _, errno := unix.Syscall6(unix.SYS_WAITID, unix.P_ALL, 0, uintptr(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(*(*int32)(unsafe.Pointer(&info[16]))), nil
}

// Done is closed when the child has ended and been collected.
func (c *Child) Done() <-chan struct{} { return c.done }

// Status returns how and when the child ended; valid once Done is closed.
func (c *Child) Status() (unix.WaitStatus, time.Time) { return c.status, c.at }

// Signal sends a signal to the child, never to another process that got its id.
// The error is ErrEnded when it has been collected.
func (c *Child) Signal(sig unix.Signal) error {
	c.reaper.mu.Lock()
	defer c.reaper.mu.Unlock()
	if c.reaper.children[c.PID] != c {
		return ErrEnded
	}
	return unix.Kill(c.PID, sig)
}
