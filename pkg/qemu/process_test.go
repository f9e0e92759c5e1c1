package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func shell(script string) Spec { return Spec{Path: "/bin/sh", Args: []string{"-c", script}} }

func start(t *testing.T, spec Spec) *Process {
	t.Helper()
	p, err := Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(); <-p.Done() })
	return p
}

func TestWaitReportsTheEnd(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"success", "exit 0", ""},
		{"exit code", "echo qemu: no such device >&2; exit 3", "QEMU ended: exit status 3: qemu: no such device"},
		{"silent", "exit 1", "QEMU ended: exit status 1"},
		{"signal", "kill -SEGV $$", "QEMU ended: signal: segmentation fault"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := start(t, shell(tt.script))
			for range 2 { // any number of times
				err := p.Wait()
				got := ""
				if err != nil {
					got = err.Error()
				}
				if strings.TrimSuffix(got, " (core dumped)") != tt.want {
					t.Errorf("Wait = %q, want %q", got, tt.want)
				}
			}
		})
	}
}

func TestExitErrorKeepsItsParts(t *testing.T) {
	err := start(t, shell("echo why >&2; exit 7")).Wait()
	var exit *ExitError
	if !errors.As(err, &exit) || exit.State.ExitCode() != 7 || exit.Stderr != "why" {
		t.Errorf("error %#v", err)
	}
}

func TestStderrIsBounded(t *testing.T) {
	p := start(t, shell("yes noise | head -c 100000 >&2; echo the end >&2"))
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if s := p.Stderr(); len(s) > stderrTail+len("…") || !strings.HasPrefix(s, "…") || !strings.HasSuffix(s, "the end") {
		t.Errorf("kept %d bytes, ending in %q", len(s), s[len(s)-20:])
	}
}

func TestKill(t *testing.T) {
	p := start(t, shell("exec sleep 1000"))
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	err := p.Wait()
	var exit *ExitError
	if !errors.As(err, &exit) || exit.State.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Errorf("Wait = %v, want a kill", err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("Kill of a dead process: %v", err)
	}
}

func TestContextEndsTheProcess(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, shell("exec sleep 1000"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		p.Kill()
		t.Fatal("still there")
	}
	if _, err := Start(ctx, shell("exit 0")); !errors.Is(err, context.Canceled) {
		t.Errorf("start under an ended context: %v", err)
	}
}

func TestDonatedFiles(t *testing.T) {
	ours, theirs, err := socketPair("test")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	var files Files
	first, second := files.Donate(null), files.Donate(theirs)
	if first != 3 || second != 4 {
		t.Errorf("numbers %d %d, want 3 4", first, second)
	}
	spec := shell(fmt.Sprintf("echo over %d >&%d", second, second))
	spec.Files = &files
	p := start(t, spec)
	// Our copies are closed, so the end of the process is the end of the stream.
	got, err := io.ReadAll(ours)
	if err != nil || string(got) != "over 4\n" {
		t.Errorf("read %q, %v", got, err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

func TestFilesAreClosedWhenStartFails(t *testing.T) {
	ours, theirs, err := socketPair("test")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	var files Files
	files.Donate(theirs)
	if _, err := Start(t.Context(), Spec{Path: "/nonexistent/qemu", Files: &files}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start = %v, want %v", err, os.ErrNotExist)
	}
	if _, err := ours.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %v, want EOF", err)
	}
}

// TestSurroundings: no terminal, the caller's process group, a bare environment.
func TestSurroundings(t *testing.T) {
	t.Setenv("QEMU_MODULE_DIR", "/tmp/evil")
	p := start(t, shell(`[ -z "$QEMU_MODULE_DIR" ] || echo environment leaks >&2
read -r line && echo standard input open >&2
[ "$(pwd)" = / ] || echo in $(pwd) >&2
set -- $(cat /proc/self/stat); echo group $5 session $6 >&2`))
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	session, err := sessionOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("group %d session %d", syscall.Getpgrp(), session); p.Stderr() != want {
		t.Errorf("child says %q, want %q", p.Stderr(), want)
	}
}

func sessionOf(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strconv.Atoi(strings.Fields(rest)[3])
}

// TestChildDiesWithItsParent kills a parent with SIGKILL and looks for its child. The parent is this test binary.
func TestChildDiesWithItsParent(t *testing.T) {
	if os.Getenv("VPOD_TEST_PARENT") != "" {
		p, err := Start(context.Background(), shell("exec sleep 1000"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("child %d\n", p.PID())
		p.Wait()
		return
	}
	parent := exec.Command(os.Args[0], "-test.run=^TestChildDiesWithItsParent$", "-test.v")
	parent.Env = append(os.Environ(), "VPOD_TEST_PARENT=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	for child == 0 {
		var line string
		if _, err := fmt.Fscanln(out, &line, &child); err != nil && errors.Is(err, io.EOF) {
			t.Fatal("parent said nothing")
		}
	}
	parent.Process.Kill()
	parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		if err != nil || strings.Contains(string(stat), ") Z ") { // gone, or left for init to reap
			return
		}
		if time.Now().After(deadline) {
			syscall.Kill(child, syscall.SIGKILL)
			t.Fatalf("child %d outlives its parent", child)
		}
	}
}
