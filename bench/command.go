package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// commandTimeout is for one command, on a busy machine without KVM.
const commandTimeout = 10 * time.Minute

// result is what one command did.
type result struct {
	wall   time.Duration // from before fork until it was waited for
	cpu    time.Duration // of the process and of the children it waited for
	stdout string        // of each the first MiB, without blanks around
	stderr string
}

// run runs a command to its end with nothing on standard input. Its output goes to
// files: a pipe would stay open as long as something it left in the background. A
// command that does not end with 0 is an error that holds what it said last.
func (w *world) run(ctx context.Context, argv ...string) (result, error) {
	return w.runAs(ctx, w.env, argv...)
}

// runAs is run with another environment.
func (w *world) runAs(ctx context.Context, env []string, argv ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return result{}, err
	}
	out, err := scratchFile(w.dir)
	if err != nil {
		return result{}, err
	}
	defer out.Close()
	errs, err := scratchFile(w.dir)
	if err != nil {
		return result{}, err
	}
	defer errs.Close()
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	p, err := w.reaper.start(append([]string{path}, argv[1:]...), env, [3]*os.File{w.null, out, errs})
	if err != nil {
		return result{}, err
	}
	e, err := p.wait(ctx)
	if err != nil {
		return result{}, fmt.Errorf("%s: %w", brief(argv), err)
	}
	r := result{wall: e.at.Sub(p.began), cpu: e.cpu, stdout: contents(out), stderr: contents(errs)}
	if e.status != 0 {
		return r, fmt.Errorf("%s ended with %s: %s", brief(argv), describe(e), lastLine(r.stderr))
	}
	w.heard(argv, r.stderr)
	return r, nil
}

// heard keeps what vpod had to say although it did what it was told, as that it has
// booted a machine cold after all: a figure with such a run in it is another one.
func (w *world) heard(argv []string, stderr string) {
	if argv[0] != w.vpod.argv[0] || slices.Contains(argv, "--timing=json") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		expected := line == "" || strings.HasSuffix(line, ", once") || strings.HasPrefix(line, "machines are emulated")
		if !expected && len(w.warnings) < 5 && !slices.Contains(w.warnings, line) {
			w.warnings = append(w.warnings, line)
		}
	}
}

// takeWarnings returns what was heard since the last call.
func (w *world) takeWarnings() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.warnings
	w.warnings = nil
	return taken
}

// runSettled runs a command and waits until all it has started is gone, too. cpu is
// that of all these processes.
func (w *world) runSettled(ctx context.Context, argv ...string) (result, error) {
	before, err := descendants(os.Getpid())
	if err != nil {
		return result{}, err
	}
	spent := w.reaper.total()
	r, err := w.run(ctx, argv...)
	if err != nil {
		return r, err
	}
	if err := settle(ctx, before); err != nil {
		return r, err
	}
	r.cpu = w.reaper.total() - spent
	return r, nil
}

// settle waits until this program has no descendants but those it had before, so
// that the end of one command is not part of the next one's time. What stays for
// longer than some seconds is there to stay.
func settle(ctx context.Context, before []task) error {
	old := map[task]bool{}
	for _, p := range before {
		old[p.identity()] = true
	}
	quiet := false // also the look before found nobody: one can miss an orphan about to be adopted
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); {
		now, err := uncollected(os.Getpid())
		if err != nil {
			return err
		}
		left := 0
		for _, p := range now {
			if !old[p.identity()] {
				left++
			}
		}
		if left == 0 && quiet {
			return nil
		}
		quiet = left == 0
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for d or until ctx is done.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scratchFile opens a file without a name.
func scratchFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "out-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// contents returns the first MiB of a file that somebody else has written.
func contents(f *os.File) string {
	b, _ := io.ReadAll(io.NewSectionReader(f, 0, 1<<20))
	return string(bytes.TrimSpace(b))
}

func lastLine(s string) string {
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// brief is the program and its verb, without the options before that.
func brief(argv []string) string {
	name := filepath.Base(argv[0])
	rest := argv[1:]
	for len(rest) > 1 && strings.HasPrefix(rest[0], "--") {
		rest = rest[2:]
	}
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		name += " " + rest[0]
	}
	return name
}

func describe(e ended) string {
	if e.status.Signaled() {
		return e.status.Signal().String()
	}
	return fmt.Sprint(e.status.ExitStatus())
}
