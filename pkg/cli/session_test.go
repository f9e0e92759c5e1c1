package cli

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"vpod/pkg/engine"
)

// within fails the test when nothing comes in time.
func within[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s within ten seconds", what)
		panic("unreachable")
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	signals, stop := forwardSignals(false, func(os.Signal) { t.Error("gave up") })
	defer stop()
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGTERM, 40} {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		if got := within(t, signals, "signal"); got != s {
			t.Errorf("got %v, want %v", got, s)
		}
	}
	// Those about vpod itself are not.
	for _, s := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGURG, syscall.SIGWINCH} {
		if err := syscall.Kill(os.Getpid(), s); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case got := <-signals:
		t.Errorf("got %v", got)
	case <-time.After(50 * time.Millisecond):
	}
}

func TestRelaySignals(t *testing.T) {
	in, out, done := make(chan os.Signal), make(chan os.Signal), make(chan struct{})
	gaveUp := make(chan os.Signal, 1)
	ended := make(chan struct{})
	go func() {
		relaySignals(in, out, done, func(s os.Signal) { gaveUp <- s })
		close(ended)
	}()
	// Two that nobody takes are kept, the third is one too many; others never are.
	in <- syscall.SIGINT
	in <- syscall.SIGTERM
	for range 10 {
		in <- syscall.SIGUSR1
	}
	in <- syscall.SIGINT
	if got := within(t, gaveUp, "giving up"); got != syscall.SIGINT {
		t.Errorf("gave up for %v", got)
	}
	if got := within(t, out, "signal"); got != syscall.SIGINT {
		t.Errorf("got %v first", got)
	}
	in <- syscall.SIGINT // there is room again
	select {
	case got := <-gaveUp:
		t.Errorf("gave up for %v", got)
	default:
	}
	if got := within(t, out, "signal"); got != syscall.SIGTERM {
		t.Errorf("got %v second", got)
	}
	close(done)
	within(t, ended, "end")
}

// One that nobody takes is enough when it is not taken for long.
func TestRelaySignalsLosesPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, out, done := make(chan os.Signal), make(chan os.Signal), make(chan struct{})
		gaveUp := make(chan os.Signal, 1)
		go relaySignals(in, out, done, func(s os.Signal) { gaveUp <- s })
		in <- syscall.SIGTERM
		time.Sleep(patience - time.Second)
		if got := <-out; got != syscall.SIGTERM {
			t.Errorf("got %v", got)
		}
		in <- syscall.SIGUSR1 // may wait
		time.Sleep(2 * patience)
		if len(gaveUp) != 0 {
			t.Errorf("gave up for %v, which was taken, or may wait", <-gaveUp)
		}
		began := time.Now()
		in <- syscall.SIGINT
		if got := <-gaveUp; got != syscall.SIGINT || time.Since(began) != patience {
			t.Errorf("gave up for %v after %s, want %v after %s", got, time.Since(began), syscall.SIGINT, patience)
		}
		close(done)
	})
}

func TestUntilInterrupted(t *testing.T) {
	ctx, release := untilInterrupted(t.Context())
	defer release()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	within(t, ctx.Done(), "end of the context")
	if code := exitCode(ctx, errors.New("stopped")); code != 143 {
		t.Errorf("exit code %d, want 143", code)
	}
	if code := exitCode(ctx, nil); code != 0 {
		t.Errorf("exit code %d of what ended well, want 0", code)
	}
}

// A session that forwards signals takes them over: the command goes on.
func TestSessionTakesSignals(t *testing.T) {
	a := newTestApp(t)
	ctx, release := untilInterrupted(t.Context())
	defer release()
	a.TakeSignals = release
	s, err := a.openSession(ctx, sessionOptions{stdout: true, forward: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := within(t, s.streams.Signals, "signal"); got != syscall.SIGINT {
		t.Errorf("got %v", got)
	}
	if ctx.Err() != nil || s.ctx.Err() != nil {
		t.Errorf("the command is interrupted: %v", context.Cause(ctx))
	}
}

func TestSessionGivesUp(t *testing.T) {
	a := newTestApp(t)
	s, err := a.openSession(t.Context(), sessionOptions{forward: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for range impatience + 1 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // the kernel merges signals that are not taken yet
	}
	within(t, s.ctx.Done(), "end of the session")
	var status *statusError
	if err := s.leave(125, s.ctx.Err()); !errors.As(err, &status) || status.code != 130 {
		t.Errorf("leave: %v, want exit code 130", err)
	}
}

func TestResize(t *testing.T) {
	a := newTestApp(t)
	a.terminal.terminals, a.terminal.size = []int{0}, engine.Size{Rows: 1, Cols: 2}
	s, err := a.openSession(t.Context(), sessionOptions{tty: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := within(t, s.streams.Resize, "size"); got.Rows != 1 {
		t.Errorf("size %+v", got)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	within(t, s.streams.Resize, "new size")
	s.close()
	s.close()
}

// terminalChild is what the test binary does in place of tests for TestRealTerminal.
const terminalChild = "VPOD_TEST_TERMINAL_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(terminalChild) != "" {
		runTerminalChild()
		return
	}
	os.Exit(m.Run())
}

// runTerminalChild opens a session on its terminal, tells the size it sees, and
// waits for one byte.
func runTerminalChild() {
	app := NewApp([]string{"vpod"})
	s, err := app.openSession(context.Background(), sessionOptions{stdin: true, stdout: true, tty: true})
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	defer s.close()
	tell := func() {
		size := <-s.streams.Resize
		os.Stdout.WriteString(string(rune('A'+size.Rows)) + string(rune('A'+size.Cols)) + "\n")
	}
	tell()
	var b [1]byte
	os.Stdin.Read(b[:])
	if b[0] == 'r' {
		tell()
	}
}

func TestRealTerminal(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	defer master.Close()
	defer tty.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 3, Cols: 5}); err != nil {
		t.Fatal(err)
	}
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), terminalChild+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := func() string {
		t.Helper()
		line := make(chan string, 1)
		go func() {
			var b [64]byte
			n, _ := master.Read(b[:])
			line <- string(b[:n])
		}()
		return within(t, line, "output of the child")
	}
	if got := read(); got != "DF\n" { // raw: no carriage return is added
		t.Errorf("child says %q, want its size and no carriage return", got)
	}
	raw, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if raw.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 {
		t.Errorf("terminal flags %#x: not in raw mode", raw.Lflag)
	}
	if err := pty.Setsize(master, &pty.Winsize{Rows: 7, Cols: 9}); err != nil {
		t.Fatal(err)
	}
	if _, err := master.WriteString("r"); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "HJ\n" {
		t.Errorf("child says %q after the resize", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("terminal settings %+v, want those before %+v", after, before)
	}
	signal.Reset(syscall.SIGWINCH)
}
