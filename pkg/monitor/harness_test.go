package monitor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/logs"
	"vpod/pkg/paths"
	"vpod/pkg/timing"
)

const testID = "1111111111111111111111111111111111111111111111111111111111111111"

// fakeMachine is a machine whose agent is in this process.
type fakeMachine struct {
	agent         *agenttest.Agent
	channel       net.Conn
	guest         net.Conn
	console       *io.PipeReader
	printer       *io.PipeWriter
	ready         error
	noQuit        bool // ignores Quit
	resumed       time.Time
	resumedWithin time.Duration
	stuck         error // of Pause and Continue

	paused atomic.Bool
	once   sync.Once
	done   chan struct{}
	end    machineEnd
}

func (m *fakeMachine) Channel() net.Conn           { return m.channel }
func (m *fakeMachine) Console() io.Reader          { return m.console }
func (m *fakeMachine) Ready(context.Context) error { return m.ready }
func (m *fakeMachine) PID() int                    { return 4242 }
func (m *fakeMachine) Done() <-chan struct{}       { return m.done }
func (m *fakeMachine) End() machineEnd             { return m.end }
func (m *fakeMachine) Resumed() (time.Time, time.Duration) {
	return m.resumed, m.resumedWithin
}
func (m *fakeMachine) Usage() []timing.Usage {
	return []timing.Usage{{Process: timing.QEMU, UserNanos: 7e6}}
}
func (m *fakeMachine) Pause(context.Context) error    { return m.still(true) }
func (m *fakeMachine) Continue(context.Context) error { return m.still(false) }

func (m *fakeMachine) still(paused bool) error {
	if m.stuck == nil {
		m.paused.Store(paused)
	}
	return m.stuck
}

func (m *fakeMachine) Kill() { m.stop(machineEnd{Cause: endAsked}) }
func (m *fakeMachine) Quit(ctx context.Context) error {
	if m.noQuit {
		<-ctx.Done()
		return ctx.Err()
	}
	m.Kill()
	return nil
}

// stop ends the machine once, for the reason given.
func (m *fakeMachine) stop(end machineEnd) {
	m.once.Do(func() {
		m.end = end
		m.guest.Close()
		m.channel.Close()
		m.printer.Close()
		close(m.done)
	})
}

// newFakeMachine returns a machine whose agent is not served yet.
func newFakeMachine(t testing.TB, agent *agenttest.Agent) *fakeMachine {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := &fakeMachine{agent: agent, done: make(chan struct{})}
	for i, conn := range []*net.Conn{&m.channel, &m.guest} {
		f := os.NewFile(uintptr(fds[i]), "channel")
		if *conn, err = net.FileConn(f); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	m.console, m.printer = io.Pipe()
	return m
}

// harness is a monitor in this process, and the command that started it.
type harness struct {
	t      *testing.T
	files  paths.Container
	launch *Launch
	agent  *agenttest.Agent
	starts chan *fakeMachine // those started, in order
	boot   func(n int, m *fakeMachine) error
	tune   func(s *supervisor)

	report *bufio.Reader
	asked  bool     // the monitor has asked for the word
	conn   net.Conn // of the command
	cancel context.CancelFunc
	result chan error
	sup    *supervisor
}

// newHarness prepares a monitor for a container whose first process is main.
func newHarness(t *testing.T, main func(p *agenttest.Process) agentproto.ExitStatus) *harness {
	t.Helper()
	dir := t.TempDir()
	files := paths.Container{Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run")}
	if err := files.Make(); err != nil {
		t.Fatal(err)
	}
	h := &harness{
		t: t, files: files, agent: &agenttest.Agent{Main: main}, starts: make(chan *fakeMachine, 100),
		launch: &Launch{
			Version: LaunchVersion, DataDir: files.Data, RunDir: files.Run, QEMU: "/nowhere/qemu",
			BootTimeout: 10 * time.Second,
			Containers: []LaunchContainer{{
				ID: testID, Name: "web",
				Process:    agentproto.Process{Stdin: true},
				Log:        container.Log{Driver: logs.DriverK8sFile, Path: files.Log()},
				StopSignal: 15, StopTimeout: 10 * time.Second,
			}},
		},
		result: make(chan error, 1),
	}
	h.ctr().Process.OCI.Args = []string{"cmd"}
	return h
}

func (h *harness) ctr() *LaunchContainer { return &h.launch.Containers[0] }

// start starts the monitor.
func (h *harness) start() {
	h.t.Helper()
	b, err := json.Marshal(h.launch)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.files.Launch(), b, 0o600); err != nil {
		h.t.Fatal(err)
	}
	lock, err := filelock.TryLock(h.files.LiveLock())
	if err != nil {
		h.t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	ours := os.NewFile(uintptr(fds[0]), "report")
	if h.conn, err = net.FileConn(ours); err != nil {
		h.t.Fatal(err)
	}
	ours.Close()
	h.report = bufio.NewReader(h.conn)
	rep, err := newReporter(os.NewFile(uintptr(fds[1]), "report"))
	if err != nil {
		h.t.Fatal(err)
	}
	h.sup, err = newSupervisor(h.files.Launch(), rep, lock, h.startMachine)
	if err != nil {
		h.t.Fatal(err)
	}
	h.sup.restartIn = func(time.Duration, time.Duration) time.Duration { return 0 }
	if h.tune != nil {
		h.tune(h.sup)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go func() { h.result <- h.sup.supervise(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		h.conn.Close()
		if h.t.Failed() {
			b, _ := os.ReadFile(h.files.MonitorLog())
			h.t.Logf("monitor.log:\n%s", b)
		}
	})
}

func (h *harness) startMachine(_ context.Context, l *Launch, _ *timing.Recorder, _ *slog.Logger) (machine, error) {
	m := newFakeMachine(h.t, h.agent)
	if l.Template != nil {
		m.resumed = time.Now()
	}
	n := len(h.starts)
	if h.boot != nil {
		if err := h.boot(n, m); err != nil {
			return nil, err
		}
	} else {
		go m.agent.Serve(m.guest)
	}
	h.starts <- m
	return m, nil
}

// expect reads the next report.
func (h *harness) expect(event string) Report {
	h.t.Helper()
	if event == ReportFailed && !h.asked { // the word is asked for before anything can fail
		h.expect(ReportReady)
	}
	h.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := h.report.ReadBytes('\n')
	if err != nil {
		h.t.Fatalf("waiting for report %q: %v", event, err)
	}
	var r Report
	if err := json.Unmarshal(line, &r); err != nil {
		h.t.Fatal(err)
	}
	if r.Event != event {
		h.t.Fatalf("report %+v, want %q", r, event)
	}
	h.asked = h.asked || event == ReportReady
	return r
}

// run starts the monitor and lets the container run.
func (h *harness) run() {
	h.t.Helper()
	h.start()
	h.expect(ReportReady)
	h.goAhead()
}

func (h *harness) goAhead() {
	h.t.Helper()
	if _, err := h.conn.Write([]byte(GoLine)); err != nil {
		h.t.Fatal(err)
	}
	h.expect(ReportStarted)
}

// wait waits for the monitor's end and returns the exit record.
func (h *harness) wait() Exit {
	h.t.Helper()
	select {
	case err := <-h.result:
		if err != nil {
			h.t.Errorf("supervise = %v", err)
		}
	case <-time.After(30 * time.Second):
		h.t.Fatal("the monitor does not end")
	}
	b, err := os.ReadFile(h.files.Exit())
	if err != nil {
		h.t.Fatal(err)
	}
	var x Exit
	if err := json.Unmarshal(b, &x); err != nil {
		h.t.Fatal(err)
	}
	for _, path := range []string{h.files.Status(), h.files.AttachSocket(), h.files.AgentSocket()} {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			h.t.Errorf("%s is left", filepath.Base(path))
		}
	}
	if held, err := filelock.Held(h.files.LiveLock()); err != nil || held {
		h.t.Errorf("live lock held: %t, %v", held, err)
	}
	return x
}

// status reads status.json.
// statusWhen waits until the status meets a condition.
func (h *harness) statusWhen(met func(Status) bool) Status {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if s := h.status(); met(s) || time.Now().After(end) {
			return s
		}
	}
}

func (h *harness) status() Status {
	h.t.Helper()
	b, err := os.ReadFile(h.files.Status())
	if err != nil {
		h.t.Fatal(err)
	}
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// log returns what the container's log shows.
func (h *harness) log() (stdout, stderr string) {
	h.t.Helper()
	var out, errOut bytes.Buffer
	src := logs.Source{Driver: h.ctr().Log.Driver, Path: h.ctr().Log.Path}
	if err := logs.Show(h.t.Context(), &out, &errOut, []logs.Source{src}, logs.ReadOptions{Tail: -1}); err != nil {
		h.t.Fatal(err)
	}
	return out.String(), errOut.String()
}

// attached is a client of the harness's monitor.
type attached struct {
	out, err syncBuffer
	exit     Exit
	failed   error
	done     chan struct{}
}

// attach attaches a client with the given streams besides its outputs.
func (h *harness) attach(s Streams) *attached {
	h.t.Helper()
	a := &attached{done: make(chan struct{})}
	s.Stdout, s.Stderr = &a.out, &a.err
	ready := make(chan struct{})
	s.Attached = func() { close(ready) }
	go func() {
		defer close(a.done)
		a.exit, a.failed = Attach(h.t.Context(), h.files.AttachSocket(), testID, s)
	}()
	select {
	case <-ready:
	case <-a.done:
		h.t.Fatalf("attach: %v", a.failed)
	}
	return a
}

// wait waits for the client's end.
func (a *attached) wait(t *testing.T) {
	t.Helper()
	select {
	case <-a.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the attached client does not end")
	}
}

// syncBuffer is a buffer that may be looked at while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// untilSignal is a process that prints and then ends at a signal, with 128 and it.
func untilSignal(p *agenttest.Process) agentproto.ExitStatus {
	p.Stdout.WriteString("up\n")
	sig := <-p.Signals
	return agentproto.ExitStatus{Code: 128 + sig, Signal: sig}
}

// eventually waits until ok reports true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come about", what)
		}
	}
}

func contains(t *testing.T, what, s string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(s, part) {
			t.Errorf("%s is %q, want %q in it", what, s, part)
		}
	}
}
