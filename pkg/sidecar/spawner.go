// Package sidecar starts the processes a machine needs beside its monitor, QEMU
// among them, so that they die with the monitor however it dies, and knows the
// command lines of the network helper (passt) and the file sharing daemon
// (virtiofsd).
//
// It restarts nothing and does not know what a container is. The monitor calls
// it; the engine uses the pure functions (PasstArgs, VirtiofsdArgs) and the ones
// that find the binaries.
package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Command is a process to start.
type Command struct {
	Name  string     // for errors, as "passt"; "" is the last part of Path
	Path  string     // of the binary; not looked up in PATH
	Args  []string   // without the program's own name
	Dir   string     // working directory; "" is "/", so that no file system is kept busy
	Env   []string   // nil is defaultEnv: nothing of the user's environment steers the process
	Files []*os.File // become descriptors 3, 4, …; the caller closes its own once Start has returned

	// Protect are files, on which the process's fallocate calls succeed and do
	// nothing, so that it makes no holes in them; see CanProtect and holeGuard. The
	// process gets PR_SET_NO_NEW_PRIVS. The caller may close its own once Start has
	// returned.
	Protect []*os.File

	// NoHugePages keeps the kernel from giving the process memory in pieces of
	// 2 MiB, also where it asks for them. A kernel that cannot be told so does as
	// it likes.
	NoHugePages bool

	// StderrTailBytes is how much of the end of standard error is kept; 0 is
	// defaultTailBytes. Standard input and output are /dev/null.
	StderrTailBytes int
}

// What a Command leaves open.
const defaultTailBytes = 8 << 10

// defaultEnv makes messages English and finds what little a helper might run.
func defaultEnv() []string {
	return []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
}

// stderrGrace is how long a process's end waits for standard error to be closed
// by the descendants it may have left.
const stderrGrace = time.Second

// ErrSpawnerClosed reports a Start after Close.
var ErrSpawnerClosed = errors.New("spawner is closed")

// Spawner starts processes from one operating system thread that lives as long
// as the Spawner. Linux ties the parent-death signal to the thread that forked,
// and the Go runtime ends threads as it likes: a process started from any other
// thread could be killed at any moment, or survive its monitor.
type Spawner struct {
	requests chan func()
	closed   chan struct{}
	ended    chan struct{} // the thread is about to be gone
	once     sync.Once
	guarded  guardedThreads
}

// NewSpawner starts the thread. Close ends it and everything it has started.
func NewSpawner() *Spawner {
	s := &Spawner{
		requests: make(chan func()),
		closed:   make(chan struct{}),
		ended:    make(chan struct{}),
	}
	go s.run()
	return s
}

// run is the thread. It is never unlocked: the runtime ends it when run returns.
func (s *Spawner) run() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process's first thread is the one the runtime never ends. While we hold
		// it, the next goroutine is on another.
		held := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(held)
			s.serve()
		}()
		<-held
		runtime.UnlockOSThread()
		return
	}
	s.serve()
}

// serve does what is asked for until Close.
func (s *Spawner) serve() {
	defer close(s.ended)
	for {
		select {
		case do := <-s.requests:
			do()
		case <-s.closed:
			return
		}
	}
}

// Close ends the thread; what it has started and still runs is killed (SIGKILL,
// by the kernel). It may be called more than once.
func (s *Spawner) Close() {
	s.once.Do(func() { close(s.closed) })
	s.closeGuarded()
	<-s.ended
}

// do runs f on the thread and waits for its end; false when the Spawner is closed.
func (s *Spawner) do(f func()) bool {
	done := make(chan struct{})
	select {
	case s.requests <- func() { defer close(done); f() }:
		<-done
		return true
	case <-s.closed:
		return false
	}
}

// Start starts a process. ctx bounds the start alone, not the process's life.
//
// The process stays in the caller's process group and session. It loses the
// parent-death signal when it changes its own credentials, as passt does started
// by root: such a helper must end by itself when its socket is closed.
func (s *Spawner) Start(ctx context.Context, c Command) (*Process, error) {
	if c.Name == "" {
		c.Name = filepath.Base(c.Path)
	}
	launch := s.launch
	if len(c.Protect) > 0 {
		launch = s.startProtected
	}
	p, err := launch(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Name, err)
	}
	return p, nil
}

// launch starts a process on the thread. Its errors do not name the process.
func (s *Spawner) launch(ctx context.Context, c Command) (*Process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &Process{name: c.Name, tail: newTail(c.StderrTailBytes), done: make(chan struct{})}
	cmd := &exec.Cmd{
		Path:        c.Path,
		Args:        append([]string{c.Path}, c.Args...),
		Dir:         c.Dir,
		Env:         c.Env,
		ExtraFiles:  c.Files,
		Stderr:      p.tail,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL},
		WaitDelay:   stderrGrace,
	}
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	if cmd.Env == nil {
		cmd.Env = defaultEnv()
	}
	started := make(chan error, 1)
	select {
	case s.requests <- func() { started <- start(cmd, c.NoHugePages) }:
	case <-s.closed:
		return nil, ErrSpawnerClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := <-started; err != nil {
		return nil, err
	}
	p.cmd = cmd
	go p.wait()
	return p, nil
}

// start starts cmd. Huge pages are a setting of the parent's memory at the time,
// which the child inherits: another process started meanwhile may get it, too.
func start(cmd *exec.Cmd, noHugePages bool) error {
	if noHugePages && unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) == nil {
		defer func() { _ = unix.Prctl(unix.PR_SET_THP_DISABLE, 0, 0, 0, 0) }() // as it was: it has just worked
	}
	return cmd.Start()
}

// Process is a started process. Its methods may be called from anywhere.
type Process struct {
	name string
	cmd  *exec.Cmd
	tail *tail
	done chan struct{}
	err  error // valid once done is closed
}

// ExitError reports a process that ended otherwise than with status 0.
type ExitError struct {
	Name   string
	Status string         // as "exit status 1" or "signal: killed"
	Code   int            // exit code, -1 when a signal ended it
	Signal syscall.Signal // that ended it, else 0
	Stderr string         // the end of what it wrote to standard error
}

func (e *ExitError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("%s ended: %s", e.Name, e.Status)
	}
	return fmt.Sprintf("%s ended: %s: %s", e.Name, e.Status, e.Stderr)
}

// wait is the one waiter.
func (p *Process) wait() {
	defer close(p.done)
	err := p.cmd.Wait()
	state := p.cmd.ProcessState
	switch {
	case state == nil:
		p.err = fmt.Errorf("wait for %s: %w", p.name, err)
	case !state.Success():
		exit := &ExitError{Name: p.name, Status: state.String(), Code: state.ExitCode(), Stderr: p.tail.String()}
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			exit.Signal = ws.Signal()
		}
		p.err = exit
	}
}

// PID is the process's id. It may belong to another process once Done is closed.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Name is the Command's name.
func (p *Process) Name() string { return p.name }

// Done is closed when the process has ended and has been waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// CPUTime returns the processor time the process has used so far, exact while it
// runs and to the microsecond afterwards.
func (p *Process) CPUTime() time.Duration {
	select {
	case <-p.done:
		user, system := p.Usage()
		return user + system
	default:
	}
	var ts unix.Timespec
	if unix.ClockGettime(processClock(p.PID()), &ts) != nil {
		return 0 // it has just ended
	}
	return time.Duration(ts.Nano())
}

// processClock is the clock of a process's processor time, as clock_getcpuclockid(3)
// makes it; linux/posix-timers.h, CPUCLOCK_SCHED.
func processClock(pid int) int32 { return ^int32(pid)<<3 | 2 }

// Usage returns the processor time the process has used so far in its own code and
// in the kernel. While it runs it counts in ticks, a hundredth of a second each.
func (p *Process) Usage() (user, system time.Duration) {
	select {
	case <-p.done:
		if state := p.cmd.ProcessState; state != nil {
			return state.UserTime(), state.SystemTime()
		}
		return 0, 0
	default:
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, 0
	}
	// The name, in parentheses, may hold anything. proc(5): utime and stime are the
	// 14th and 15th field; USER_HZ is 100 wherever Go runs.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, 0
	}
	ticks := func(s string) time.Duration {
		n, _ := strconv.ParseInt(s, 10, 64)
		return time.Duration(n) * time.Second / 100
	}
	return ticks(fields[11]), ticks(fields[12])
}

// Wait returns how the process ended: nil for status 0, else an *ExitError; or
// ctx's error when that comes first.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", p.name, ctx.Err())
	}
}

// Signal sends a signal; os.ErrProcessDone when the process has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signal %s: %w", p.name, err)
	}
	return nil
}

// Kill ends the process (SIGKILL) and waits until it is gone. Killing one that
// has ended is no error.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.done
}

// Stop asks the process to end (SIGTERM) and kills it when it has not ended
// after grace.
func (p *Process) Stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // fails only when it has ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
	}
}

// Stderr returns the end of what the process has written to standard error so far.
func (p *Process) Stderr() string { return p.tail.String() }

// tail keeps the last bytes written to it.
type tail struct {
	mu    sync.Mutex
	limit int
	kept  []byte
	lost  bool
}

func newTail(limit int) *tail {
	if limit <= 0 {
		limit = defaultTailBytes
	}
	return &tail{limit: limit}
}

// Write keeps the end of p; it never fails and never waits.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > t.limit {
		p, t.lost = p[len(p)-t.limit:], true
	}
	if over := len(t.kept) + len(p) - t.limit; over > 0 {
		t.kept, t.lost = slices.Delete(t.kept, 0, over), true
	}
	t.kept = append(t.kept, p...)
	return n, nil
}

// String returns what is kept, from the first whole line on when something was
// dropped, without white space around it.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.kept
	if t.lost {
		if i := bytes.IndexByte(b, '\n'); i >= 0 && i < len(b)-1 {
			b = b[i+1:]
		}
	}
	return string(bytes.TrimSpace(bytes.ToValidUTF8(b, []byte("?"))))
}
