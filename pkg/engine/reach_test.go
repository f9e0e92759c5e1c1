package engine

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// runAway makes a container that runs, says its lock, in a run directory that is
// gone.
func runAway(t *testing.T, e *Engine, pid int) paths.Container {
	t.Helper()
	files := addContainer(t, e, testSpec(), container.Running)
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	writeJSON(t, files.LiveLock(), monitor.Holder{MonitorPID: pid, RunDir: files.Run})
	if err := os.RemoveAll(e.dirs.Run); err != nil {
		t.Fatal(err)
	}
	return files
}

// sleeper starts a process that is not a monitor, but can be killed as one.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", "trap : USR1; echo; while :; do sleep 1000 & wait; done")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); _ = cmd.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil { // the trap is set
		t.Fatal(err)
	}
	return cmd
}

// A monitor that ends while somebody looks has removed its status, let go of its
// lock, and perhaps been settled by another command: it is not starting.
func TestEndsWhileLookedAt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		holder monitor.Holder
	}{
		{"just now", monitor.Holder{MonitorPID: 1 << 22, RunDir: "/none"}},
		{"and was settled", monitor.Holder{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			files := addContainer(t, e, testSpec(), container.Running)
			writeJSON(t, files.LiveLock(), tt.holder)
			c := container.Container{Spec: testSpec(), Record: container.Record{State: container.Running}}
			if status, err := e.liveStatus(t.Context(), c); !errors.Is(err, errEnded) {
				t.Errorf("liveStatus = %+v, %v; want errEnded", status, err)
			}
		})
	}
}

// A run directory that has gone, as at the end of a login, must not make a
// living machine look dead: nobody may start a second one or take its disk.
func TestRunDirectoryGone(t *testing.T) {
	e := testEngine(t)
	files := runAway(t, e, sleeper(t).Process.Pid)
	var notices []string
	e.opts.Notice = func(line string) { notices = append(notices, line) }
	rows, err := e.List(t.Context(), ListOptions{All: true})
	if err != nil || len(rows) != 1 || !rows[0].Running() || rows[0].ShownState() != "running" {
		t.Fatalf("List = %+v, %v; want it running", rows, err)
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "run directory") {
		t.Errorf("notices %q", notices)
	}
	if _, err := e.start(t.Context(), testSpec(), StartOptions{}); !errors.Is(err, errRunsAlready) {
		t.Errorf("start: %v, want %v", err, errRunsAlready)
	}
	var refused *container.StateError
	if got := e.Remove(t.Context(), Selection{Names: []string{"web"}}, RemoveOptions{}); !errors.As(got[0].Err, &refused) {
		t.Errorf("Remove: %v, want a StateError", got[0].Err)
	}
	if _, err := os.Stat(files.Data); err != nil {
		t.Errorf("its data: %v", err)
	}
}

// A monitor that cannot be asked any more is ended by its process id.
func TestKillUnreachableMonitor(t *testing.T) {
	e := testEngine(t)
	cmd := sleeper(t)
	runAway(t, e, cmd.Process.Pid)
	c, _, err := e.find(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if err := e.killMonitor(c); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the monitor: %v, want it killed", err)
	}
}

// A monitor that lives is asked to serve where it can be reached.
func TestRenew(t *testing.T) {
	e := testEngine(t)
	files := runAway(t, e, os.Getpid())
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, monitor.RenewSignal)
	defer signal.Stop(asked)
	moved := paths.Container{Data: files.Data, Run: files.Data}
	go func() {
		<-asked
		writeJSON(t, moved.LiveLock(), monitor.Holder{MonitorPID: os.Getpid(), RunDir: moved.Run})
		writeJSON(t, moved.Status(), monitor.Status{State: "running", MonitorPID: os.Getpid(), QEMUPID: 8})
	}()
	_, live, err := e.find(t.Context(), "web")
	if err != nil || live == nil || live.QEMUPID != 8 {
		t.Fatalf("find: %+v, %v; want what the monitor says now", live, err)
	}
	// From now on that is where it is reached, also by who has another run directory.
	e.dirs.Run += "-elsewhere"
	tellExits(t, moved, monitor.Exit{ExitCode: 6})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if codes, results := e.Wait(ctx, Selection{Names: []string{"web"}}, WaitOptions{}); codes[0] != 6 {
		t.Errorf("Wait = %v, %+v; want 6", codes, results)
	}
}
