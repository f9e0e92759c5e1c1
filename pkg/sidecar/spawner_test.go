package sidecar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// monitorEnv makes the test binary start the command it names as a monitor
// would, print its process id, and wait to be killed.
const monitorEnv = "VPOD_SIDECAR_TEST_MONITOR"

func TestMain(m *testing.M) {
	if line := os.Getenv(monitorEnv); line != "" {
		monitorMain(strings.Fields(line))
	}
	if os.Getenv(punchEnv) != "" {
		punchMain()
	}
	os.Exit(m.Run())
}

// newSpawner makes a Spawner that ends with the test.
func newSpawner(t *testing.T) *Spawner {
	t.Helper()
	s := NewSpawner()
	t.Cleanup(s.Close)
	return s
}

// script is a Command that runs a shell script.
func script(text string) Command {
	return Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", text}}
}

// within fails the test when ch is not closed soon.
func within(t *testing.T, ch <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: not within 20 s", what)
	}
}

func TestStart(t *testing.T) {
	s := newSpawner(t)
	tests := []struct {
		name    string
		command Command
		err     string // of Wait
	}{
		{name: "success", command: script("exit 0")},
		{name: "success with noise", command: script("echo noise >&2")},
		{name: "failure", command: script("echo first >&2; echo why >&2; exit 3"), err: "script ended: exit status 3: first\nwhy"},
		{name: "silent failure", command: script("exit 4"), err: "script ended: exit status 4"},
		{name: "signal", command: script("kill -TERM $$"), err: "script ended: signal: terminated"},
		{name: "empty input, no output", command: script("cat && echo no >&1 && test ! -t 0")},
		{name: "environment", command: script(`test "$LC_ALL" = C && test -z "$HOME" && test "$(pwd)" = /`)},
		{name: "own environment", command: Command{Name: "script", Path: "/bin/sh", Args: []string{"-c", `test "$A" = b`}, Env: []string{"A=b"}}},
		{name: "huge pages", command: script("! grep -q 'THP_enabled:.*0' /proc/self/status")},
		{name: "no huge pages", command: func() Command {
			c := script("! grep -q 'THP_enabled:.*1' /proc/self/status")
			c.NoHugePages = true
			return c
		}()},
		{name: "huge pages again", command: script("! grep -q 'THP_enabled:.*0' /proc/self/status")},
		{name: "bounded tail", command: func() Command {
			c := script("i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
			c.StderrTailBytes = 20
			return c
		}(), err: "script ended: exit status 1: line 98\nline 99"},
		{name: "a descendant keeps standard error", command: script("sleep 30 2>&2 & exit 5"), err: "script ended: exit status 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := s.Start(t.Context(), tt.command)
			if err != nil {
				t.Fatal(err)
			}
			err = p.Wait(t.Context())
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || err.Error() != tt.err) {
				t.Errorf("Wait = %q, want %q", fmt.Sprint(err), tt.err)
			}
			if again := p.Wait(t.Context()); !errors.Is(again, err) {
				t.Errorf("second Wait = %v, want %v", again, err)
			}
			p.Kill() // of an ended process is no error
			if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("Signal after the end = %v", err)
			}
		})
	}
}

func TestStartErrors(t *testing.T) {
	s := newSpawner(t)
	if _, err := s.Start(t.Context(), Command{Path: "/no/such/helper"}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "start helper: ") {
		t.Errorf("Start of nothing = %v", err)
	}
	s.Close()
	s.Close()
	if _, err := s.Start(t.Context(), script("exit 0")); !errors.Is(err, ErrSpawnerClosed) {
		t.Errorf("Start after Close = %v", err)
	}
}

func TestStartPassesFiles(t *testing.T) {
	s := newSpawner(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := script("echo through three >&3; echo through four >&4")
	c.Files = []*os.File{w, w}
	p, err := s.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	var lines []string
	for scan := bufio.NewScanner(r); scan.Scan(); {
		lines = append(lines, scan.Text())
	}
	if want := []string{"through three", "through four"}; !slices.Equal(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
	if err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStop(t *testing.T) {
	s := newSpawner(t)
	tests := []struct{ name, script, err string }{
		{name: "obeys", script: "trap 'exit 7' TERM; echo up >&2; while :; do sleep 0.05; done", err: "exit status 7"},
		{name: "does not", script: "trap '' TERM; echo up >&2; while :; do sleep 0.05; done", err: "signal: killed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := s.Start(t.Context(), script(tt.script))
			if err != nil {
				t.Fatal(err)
			}
			for p.Stderr() != "up" {
				time.Sleep(5 * time.Millisecond)
			}
			p.Stop(500 * time.Millisecond)
			var exit *ExitError
			if err := p.Wait(t.Context()); !errors.As(err, &exit) || exit.Status != tt.err {
				t.Errorf("Wait = %v, want %s", err, tt.err)
			}
		})
	}
}

// TestCloseKills also shows that the parent-death signal is in force.
func TestCloseKills(t *testing.T) {
	s := NewSpawner()
	p, err := s.Start(t.Context(), Command{Path: "/bin/sleep", Args: []string{"1000"}})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	within(t, p.Done(), "death of the process after its Spawner's")
	var exit *ExitError
	if err := p.Wait(t.Context()); !errors.As(err, &exit) || exit.Status != "signal: killed" {
		t.Errorf("Wait = %v, want killed", err)
	}
}

// TestSurvivesOtherThreads lets many threads end: none of them is the one the
// process is tied to.
func TestSurvivesOtherThreads(t *testing.T) {
	s := newSpawner(t)
	var processes []*Process
	var wg sync.WaitGroup
	for i := range 8 {
		p, err := s.Start(t.Context(), Command{Name: fmt.Sprint("sleep", i), Path: "/bin/sleep", Args: []string{"1000"}})
		if err != nil {
			t.Fatal(err)
		}
		processes = append(processes, p)
		for range 20 {
			wg.Go(func() {
				runtime.LockOSThread() // never unlocked: the thread ends
				time.Sleep(time.Millisecond)
			})
		}
	}
	wg.Wait()
	time.Sleep(100 * time.Millisecond)
	for _, p := range processes {
		select {
		case <-p.Done():
			t.Errorf("%s is gone: %v", p.Name(), p.Wait(t.Context()))
		default:
			p.Kill()
		}
	}
}

// TestDiesWithMonitor kills a process that has started another.
func TestDiesWithMonitor(t *testing.T) {
	killMonitorAndWait(t, startMonitor(t, "/bin/sleep 1000"), 10*time.Second)
}

// monitorMain is the process started by startMonitor.
func monitorMain(argv []string) {
	s := NewSpawner()
	start := func() (*Process, error) {
		switch argv[0] {
		case "protected":
			return s.Start(context.Background(), Command{Path: argv[1], Args: argv[2:], Protect: []*os.File{os.Stdin}})
		case "passt":
			p, err := StartPasst(context.Background(), s, testPasst(argv[1]))
			if err != nil {
				return nil, err
			}
			return p.Process, p.Ready(context.Background())
		default:
			return s.Start(context.Background(), Command{Path: argv[0], Args: argv[1:]})
		}
	}
	p, err := start()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {}
}

// monitorProcess is a monitor and its child.
type monitorProcess struct {
	cmd   *exec.Cmd
	child int // a pidfd: ids are used again
}

// startMonitor starts this test binary as a monitor that starts the command line.
func startMonitor(t *testing.T, line string) monitorProcess {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), monitorEnv+"="+line)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, _ := bufio.NewReader(out).ReadString('\n')
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil {
		_ = cmd.Process.Kill()
		t.Fatalf("monitor said %q", first)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatalf("child %d: %v", pid, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return monitorProcess{cmd: cmd, child: fd}
}

// killMonitorAndWait kills the monitor and waits for the child's death.
func killMonitorAndWait(t *testing.T, m monitorProcess, limit time.Duration) {
	t.Helper()
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = m.cmd.Wait() // "signal: killed", as wanted
	fds := []unix.PollFd{{Fd: int32(m.child), Events: unix.POLLIN}}
	for deadline := time.Now().Add(limit); ; {
		n, err := unix.Poll(fds, int(time.Until(deadline).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n != 1 {
			_ = unix.PidfdSendSignal(m.child, unix.SIGKILL, nil, 0)
			t.Fatalf("the child outlives its monitor by %v (%v)", limit, err)
		}
		return
	}
}

func TestTail(t *testing.T) {
	tests := []struct {
		name  string
		limit int
		write []string
		want  string
	}{
		{name: "nothing", limit: 4},
		{name: "fits", limit: 10, write: []string{"abc", "def\n"}, want: "abcdef"},
		{name: "drops the oldest line", limit: 9, write: []string{"one\n", "two\n", "three\n"}, want: "three"},
		{name: "one long write", limit: 6, write: []string{"a\nb\nc\nd\ne\n"}, want: "d\ne"},
		{name: "one long line", limit: 3, write: []string{"abcdef"}, want: "def"},
		{name: "not text", limit: 10, write: []string{"\xff\xfea"}, want: "?a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tl := newTail(tt.limit)
			for _, w := range tt.write {
				if n, err := tl.Write([]byte(w)); n != len(w) || err != nil {
					t.Errorf("Write(%q) = %d, %v", w, n, err)
				}
			}
			if got := tl.String(); got != tt.want {
				t.Errorf("tail = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	s := newSpawner(t)
	p, err := s.Start(t.Context(), script("while :; do :; done"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if user, system := p.Usage(); user+system >= 20*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a busy process uses no processor time")
		}
	}
	running := p.CPUTime()
	if running < 20*time.Millisecond {
		t.Errorf("CPUTime() = %s of a process that used 20 ms", running)
	}
	p.Kill()
	user, system := p.Usage()
	if ended := p.CPUTime(); ended != user+system || ended < running-time.Millisecond {
		t.Errorf("ended, CPUTime() = %s, before %s; Usage() = %s, %s", ended, running, user, system)
	}
}
