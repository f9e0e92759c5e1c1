package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stderrTail is how much of QEMU's stderr is kept for error messages.
const stderrTail = 8 << 10

// Spec is a command to start.
type Spec struct {
	Path  string // of the binary
	Args  []string
	Files *Files // donated descriptors; nil means none
	Dir   string // working directory; empty means "/"
}

// Process is a running QEMU.
type Process struct {
	cmd    *exec.Cmd
	stderr *tail
	done   chan struct{}
	err    error // of the end; read after done is closed
}

// Start starts QEMU (or a helper) so that it ends with us, however we end: it stays in our process group, and the
// kernel kills it when the thread that forked it dies. That thread is locked to a goroutine that waits for the
// process and does nothing else. Standard input and output are /dev/null. When ctx ends the process is killed. The
// donated files are closed on our side in any case.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	files := spec.Files
	if files == nil {
		files = &Files{}
	}
	defer files.Close()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}

	p := &Process{stderr: &tail{limit: stderrTail}, done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, spec.Path, spec.Args...)
	p.cmd.Stderr = p.stderr
	p.cmd.ExtraFiles = files.list
	p.cmd.Dir = spec.Dir
	if p.cmd.Dir == "" {
		p.cmd.Dir = "/" // so that no file system is kept busy
	}
	// Nothing of the user's environment steers QEMU (module directories, audio drivers, allocators).
	p.cmd.Env = []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A child of the process that holds stderr must not keep Wait from returning.
	p.cmd.WaitDelay = time.Second

	started := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with this goroutine, after the process.
		runtime.LockOSThread()
		if err := p.cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	return p, nil
}

// PID is the process id. It stays taken until Done is closed.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and was reaped.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end, any number of times from any goroutine: nil for exit code 0, else an *ExitError.
func (p *Process) Wait() error {
	<-p.done
	if p.err == nil || errors.Is(p.err, exec.ErrWaitDelay) {
		return nil
	}
	return &ExitError{State: p.cmd.ProcessState, Stderr: p.Stderr(), Err: p.err}
}

// Kill ends the process at once and does not wait. Killing one that has ended does nothing.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID(), err)
	}
	return nil
}

// Stderr is the end of what the process has written to its stderr so far, at most 8 KiB, without trailing space.
func (p *Process) Stderr() string { return p.stderr.String() }

// ExitError reports how a process ended that should not have, with its last words.
type ExitError struct {
	State  *os.ProcessState // may be nil when waiting itself did not work
	Stderr string
	Err    error
}

func (e *ExitError) Error() string {
	how := e.Err.Error()
	if e.State != nil {
		how = e.State.String()
	}
	if e.Stderr == "" {
		return "QEMU ended: " + how
	}
	return "QEMU ended: " + how + ": " + e.Stderr
}

func (e *ExitError) Unwrap() error { return e.Err }

// tail keeps the last limit bytes written to it.
type tail struct {
	limit int
	mu    sync.Mutex
	buf   []byte
	cut   bool // something was dropped
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b[max(0, len(b)-t.limit):]...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
		t.cut = true
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := string(t.buf)
	if t.cut {
		s = "…" + s
	}
	return strings.TrimSpace(s)
}
