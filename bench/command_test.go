package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// testWorld is a world whose vpod is a script.
func testWorld(t *testing.T, script string) *world {
	t.Helper()
	build := t.TempDir()
	if err := os.WriteFile(filepath.Join(build, "vpod"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	var progress strings.Builder
	w, err := newWorld(build, true, &progress)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if _, err := os.Stat(w.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", w.dir, err)
		}
		if left, err := descendants(os.Getpid()); err != nil || len(left) > 0 {
			t.Errorf("processes are left: %v, %v", left, err)
		}
	})
	return w
}

// TestProcesses is one test: the reaper waits for all children of this process.
func TestProcesses(t *testing.T) {
	w := testWorld(t, "exit 0")
	ctx := t.Context()

	r, err := w.run(ctx, "sh", "-c", "echo out; echo err >&2")
	if err != nil || r.stdout != "out" || r.wall <= 0 {
		t.Errorf("run = %+v, %v", r, err)
	}
	_, err = w.run(ctx, "sh", "-c", "echo first >&2; echo last >&2; exit 3")
	if err == nil || !strings.HasSuffix(err.Error(), "ended with 3: last") {
		t.Errorf("a failing command: %v", err)
	}
	if _, err := w.run(ctx, "no-such-program"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a missing program: %v", err)
	}

	// What a command leaves in the background is found, waited for and counted.
	const busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
	r, err = w.runSettled(ctx, "sh", "-c", "setsid sh -c '"+busy+"' > /dev/null 2>&1 &")
	if err != nil || r.cpu < 10*time.Millisecond {
		t.Errorf("a command with an orphan took %v of processor time, %v", r.cpu, err)
	}
	if left, _ := descendants(os.Getpid()); len(left) > 0 {
		t.Errorf("runSettled did not wait for %v", left)
	}

	// What stays is found by its parents, weighed, and ended by close.
	if _, err := w.run(ctx, "sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 &"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline) && !slices.Contains(names, "sleep"); time.Sleep(5 * time.Millisecond) {
		left, err := descendants(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		names = nil
		for _, p := range left {
			names = append(names, p.name)
		}
	}
	left, _ := descendants(os.Getpid())
	if total, detail, err := weigh(left); err != nil || total.pss <= 0 || !strings.HasPrefix(detail, "1 sleep of ") {
		t.Errorf("weigh(%v) = %+v, %q, %v", left, total, detail, err)
	}

	// When ctx is done the command is asked to end.
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := w.run(ctx, "sleep", "1000"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
		t.Errorf("an interrupted command: %v after %v", err, time.Since(start))
	}
}

func TestHeard(t *testing.T) {
	w := testWorld(t, "printf 'preparing the machine template, once\\nbooted cold\\n' >&2")
	for range 2 {
		if _, err := w.run(t.Context(), w.vpod.command("run")...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.run(t.Context(), "sh", "-c", "echo somebody else >&2"); err != nil {
		t.Fatal(err)
	}
	if got := w.takeWarnings(); !slices.Equal(got, []string{"booted cold"}) {
		t.Errorf("warnings: %q", got)
	}
	if got := w.takeWarnings(); len(got) > 0 {
		t.Errorf("warnings are told twice: %q", got)
	}
}

func TestDrain(t *testing.T) {
	w := testWorld(t, "exit 0")
	if rate, err := w.drain(t.Context(), 8<<20, []string{"head", "-c", "8388608", "/dev/zero"}); err != nil || rate <= 0 {
		t.Errorf("drain = %v, %v", rate, err)
	}
	for _, tt := range []struct{ name, script, fail string }{
		{"too little", "printf x", "printed 1 bytes, not 5"},
		{"fails", "printf 12345; echo why >&2; exit 2", "ended with 2: why"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := w.drain(t.Context(), 5, []string{"sh", "-c", tt.script}); err == nil || !strings.Contains(err.Error(), tt.fail) {
				t.Errorf("drain = %v, want an error with %q", err, tt.fail)
			}
		})
	}
}

func TestHasOption(t *testing.T) {
	w := testWorld(t, `echo "$5 $6"; echo "      --template choice   Start from"`)
	for option, want := range map[string]bool{"--template": true, "--timing": false} {
		if got := w.hasOption(t.Context(), "run", option); got != want {
			t.Errorf("hasOption(%s) = %t", option, got)
		}
	}
}

func TestBrief(t *testing.T) {
	for _, tt := range []struct {
		name string
		argv []string
		want string
	}{
		{"global options", []string{"/b/vpod", "--root", "/r", "run", "--rm"}, "vpod run"},
		{"none", []string{"skopeo", "copy", "--quiet"}, "skopeo copy"},
		{"no verb", []string{"sh", "-c", "true"}, "sh"},
		{"alone", []string{"/bin/true"}, "true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := brief(tt.argv); got != tt.want {
				t.Errorf("brief(%q) = %q, want %q", tt.argv, got, tt.want)
			}
		})
	}
}
