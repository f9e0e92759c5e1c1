package rootfs

import (
	"bytes"
	"context"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// maxToolOutput bounds what is kept of a tool's messages, in bytes.
const maxToolOutput = 8 << 10

// tickInterval is how often a running tool's progress is looked at.
const tickInterval = 100 * time.Millisecond

// runTool runs cmd to its end and returns the end of what it wrote. The tool is
// in a process group of its own, so that a Ctrl-C reaches it only through the
// command's context, and is killed when this process dies, however it dies: a
// parent-death signal is tied to the thread that forked, so that thread is kept.
// While the tool runs, tick (which may be nil) is called every so often, from
// the calling goroutine.
func runTool(cmd *exec.Cmd, tick func()) (output string, err error) {
	var tail tailWriter
	cmd.Stdout, cmd.Stderr = &tail, &tail
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return tail.String(), err
		case <-ticker.C:
			if tick != nil {
				tick()
			}
		}
	}
}

// toolError is the error of a tool that failed: the context's, when that ended
// it, else the last line the tool wrote beside its exit status.
func toolError(ctx context.Context, err error, output string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if line := lastLine(output); line != "" {
		return &toolFailure{err: err, line: line}
	}
	return err
}

type toolFailure struct {
	err  error
	line string
}

func (e *toolFailure) Error() string { return e.line + " (" + e.err.Error() + ")" }
func (e *toolFailure) Unwrap() error { return e.err }

// lastLine returns the last line that says something.
func lastLine(output string) string {
	lines := strings.FieldsFunc(output, func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		if line := strings.TrimSpace(lines[i]); line != "" {
			return strings.ToValidUTF8(line, "?")
		}
	}
	return ""
}

// tailWriter keeps the last maxToolOutput bytes written to it.
type tailWriter struct{ buf bytes.Buffer }

func (w *tailWriter) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > maxToolOutput {
		p = p[len(p)-maxToolOutput:]
	}
	if over := w.buf.Len() + len(p) - maxToolOutput; over > 0 {
		w.buf.Next(over)
	}
	w.buf.Write(p)
	return n, nil
}

func (w *tailWriter) String() string { return w.buf.String() }
