package initproc

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpod/guest/agent/internal/spawn"
)

// TestMain makes the test's own executable the small init when called by its name.
func TestMain(m *testing.M) {
	if os.Args[0] == Name {
		os.Exit(Main(os.Args))
	}
	os.Exit(m.Run())
}

// run starts the init with a command; report is what it says of the start.
func run(t *testing.T, args ...string) (cmd *exec.Cmd, out *bytes.Buffer, report error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out = &bytes.Buffer{}
	cmd = &exec.Cmd{Path: self, Args: append([]string{Name, "3", "--"}, args...), Env: []string{"PATH=/nowhere:/bin:/usr/bin"},
		Stdout: out, ExtraFiles: []*os.File{w}, SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	report = ReadReport(r)
	_ = r.Close()
	return cmd, out, report
}

func TestEndsAsTheCommand(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		code         int
		out          string
	}{
		{"success", "echo hi", 0, "hi\n"},
		{"code", "exit 42", 42, ""},
		{"killed", "kill -KILL $$", 137, ""},
		{"orphans do not count", "(exit 9) & (exit 8) & wait; exit 7", 7, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, out, report := run(t, "sh", "-c", tt.script)
			if report != nil {
				t.Fatalf("report: %v", report)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != tt.code || out.String() != tt.out {
				t.Errorf("ended with %d, %q; want %d, %q", code, out, tt.code, tt.out)
			}
		})
	}
}

func TestReportsWhatCannotBeRun(t *testing.T) {
	plain := t.TempDir() + "/plain"
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, cmd string
		errno     syscall.Errno
	}{
		{"not in PATH", "no-such-command", syscall.ENOENT},
		{"no such file", "/no/such/file", syscall.ENOENT},
		{"not executable", plain, syscall.EACCES},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd, _, report := run(t, tt.cmd)
			_ = cmd.Wait()
			var e *spawn.Error
			if !errors.As(report, &e) || e.Step != spawn.StepExec || e.Errno != tt.errno {
				t.Errorf("report = %v, want %v", report, tt.errno)
			}
		})
	}
}

func TestPassesSignals(t *testing.T) {
	cmd, out, report := run(t, "sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while :; do sleep 0.05; done")
	if report != nil {
		t.Fatal(report)
	}
	// The shell has to have set its trap; the output is not read before the end.
	time.Sleep(300 * time.Millisecond)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(out.String(), "got") {
		t.Errorf("ended with %d, %q", code, out)
	}
}

func FuzzReadReport(f *testing.F) {
	f.Add([]byte("2 /bin/x"))
	f.Add([]byte("0 text"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Skip(err)
		}
		if len(b) > 4096 {
			b = b[:4096]
		}
		_, _ = w.Write(b)
		_ = w.Close()
		if err := ReadReport(r); (err == nil) != (len(b) == 0) {
			t.Errorf("ReadReport(%q) = %v", b, err)
		}
		_ = r.Close()
	})
}
