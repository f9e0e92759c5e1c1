package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// testID is the id of every container the fake engine makes.
var testID = strings.Repeat("0123456789ab", 5) + "cdef"

// creates lets the fake engine make containers, and start them as start says.
func (a *testApp) creates(start func(opts engine.StartOptions) (int, error)) {
	a.engine.create = func(spec container.Spec, opts engine.CreateOptions) (container.Container, []string, error) {
		a.engine.options = opts
		spec.ID = testID
		return container.Container{Spec: spec}, nil, nil
	}
	a.engine.startFunc = func(_ string, opts engine.StartOptions) (int, error) { return start(opts) }
}

func TestCreatePrintsTheID(t *testing.T) {
	a := newTestApp(t)
	a.creates(nil)
	if code := a.run(t, "create", "--name", "x", "img", "true"); code != 0 {
		t.Fatalf("exit code %d: %s", code, a.err.String())
	}
	if got, want := a.out.String(), testID+"\n"; got != want {
		t.Errorf("standard output %q, want %q", got, want)
	}
	if got, want := a.engine.calls, []string{"create", "close"}; !slices.Equal(got, want) {
		t.Errorf("calls %q, want %q", got, want)
	}
}

func TestCreateTellsItsCommandLine(t *testing.T) {
	a := newTestApp(t)
	var got []string
	a.engine.create = func(spec container.Spec, _ engine.CreateOptions) (container.Container, []string, error) {
		got = spec.CreateCommand
		return container.Container{}, []string{"a warning"}, nil
	}
	a.run(t, "create", "img")
	if want := []string{"vpod", "create", "img"}; !slices.Equal(got, want) {
		t.Errorf("create command %q, want %q", got, want)
	}
	if !strings.Contains(a.err.String(), "Warning: a warning\n") {
		t.Errorf("standard error %q lacks the warning", a.err.String())
	}
}

func TestProgress(t *testing.T) {
	tests := []struct {
		name      string
		terminals []int
		args      []string
		want      string
	}{
		{"plain", nil, []string{"create", "img"}, "converting img\n"},
		{"terminal", []int{2}, []string{"create", "img"}, "\r\x1b[Kconverting img  10%\r\x1b[Kconverting img  90%\n"},
		{"quiet", nil, []string{"create", "-q", "img"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.terminal.terminals = tt.terminals
			a.engine.create = func(_ container.Spec, opts engine.CreateOptions) (container.Container, []string, error) {
				if opts.Progress != nil {
					opts.Progress("converting img", 10)
					opts.Progress("converting img", 90)
				}
				return container.Container{}, nil, nil
			}
			a.run(t, tt.args...)
			if got := a.err.String(); got != tt.want {
				t.Errorf("standard error %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRunStreams(t *testing.T) {
	tests := []struct {
		name           string
		args           []string
		terminals      []int
		in, out, err   bool
		resize, signal bool
		keys           string
	}{
		{"plain", nil, nil, false, true, true, false, true, "\x10\x11"},
		{"interactive", []string{"-i"}, nil, true, true, true, false, true, "\x10\x11"},
		{"terminal", []string{"-it"}, []int{0, 1, 2}, true, true, true, true, true, "\x10\x11"},
		{"terminal without one of ours", []string{"-it"}, nil, true, true, true, false, true, "\x10\x11"},
		{"one stream", []string{"-a", "stdout"}, nil, false, true, false, false, true, "\x10\x11"},
		{"two streams", []string{"-i", "-a", "STDIN", "-a", "stderr"}, nil, true, false, true, false, true, "\x10\x11"},
		{"no signals", []string{"--sig-proxy=false"}, nil, false, true, true, false, false, "\x10\x11"},
		{"other keys", []string{"--detach-keys", "ctrl-a,d"}, nil, false, true, true, false, true, "\x01d"},
		{"no keys", []string{"--detach-keys="}, nil, false, true, true, false, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.terminal.terminals, a.terminal.size = tt.terminals, engine.Size{Rows: 24, Cols: 80}
			var s engine.Streams
			a.creates(func(opts engine.StartOptions) (int, error) {
				s = *opts.Attach
				if a.terminal.raw != btoi(tt.in && tt.resize) {
					t.Errorf("raw mode %d", a.terminal.raw)
				}
				if tt.resize {
					if got := <-s.Resize; got != a.terminal.size {
						t.Errorf("size %+v, want %+v", got, a.terminal.size)
					}
				}
				return 0, nil
			})
			if code := a.run(t, slices.Concat([]string{"run"}, tt.args, []string{"img"})...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			if (s.Stdin != nil) != tt.in || (s.Stdout != nil) != tt.out || (s.Stderr != nil) != tt.err {
				t.Errorf("streams %v %v %v, want %v %v %v", s.Stdin != nil, s.Stdout != nil, s.Stderr != nil, tt.in, tt.out, tt.err)
			}
			if (s.Resize != nil) != tt.resize || (s.Signals != nil) != tt.signal {
				t.Errorf("resize %v, signals %v, want %v, %v", s.Resize != nil, s.Signals != nil, tt.resize, tt.signal)
			}
			if string(s.DetachKeys) != tt.keys {
				t.Errorf("detach keys %q, want %q", s.DetachKeys, tt.keys)
			}
			if a.terminal.raw != 0 {
				t.Errorf("the terminal is left in raw mode")
			}
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestRunRefusesContradictions(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-d -a stdout", "--attach and --detach cannot be combined"},
		{"-a foo", `--attach "foo"`},
		{"-a stdin", "--attach stdin needs --interactive"},
		{"--detach-keys nosuch", "--detach-keys"},
	} {
		a := newTestApp(t)
		if code := a.run(t, append(append([]string{"run"}, strings.Fields(tt.args)...), "img")...); code != 125 {
			t.Errorf("run %s: exit code %d, want 125", tt.args, code)
		}
		if !strings.Contains(a.err.String(), tt.want) {
			t.Errorf("run %s: standard error %q lacks %q", tt.args, a.err.String(), tt.want)
		}
		if a.opened != 0 {
			t.Errorf("run %s opens the engine", tt.args)
		}
	}
}

func TestRunExitCodes(t *testing.T) {
	tests := []struct {
		name   string
		code   int
		err    error
		want   int
		stderr string
	}{
		{"success", 0, nil, 0, ""},
		{"the command's", 3, nil, 3, ""},
		{"killed", 137, nil, 137, ""},
		{"detached", 0, engine.ErrDetached, 0, ""},
		{"own failure", 125, errors.New("no machine"), 125, "Error: no machine\n"},
		{"own failure without a code", 0, errors.New("no machine"), 125, "Error: no machine\n"},
		{"not found", 127, &engine.ExitError{Code: 127, Err: errors.New("frob: not found")}, 127, "Error: frob: not found\n"},
		{"not executable", 126, &engine.ExitError{Code: 126, Err: errors.New("frob: denied")}, 126, "Error: frob: denied\n"},
		{"typed alone", 0, &engine.ExitError{Code: 126, Err: errors.New("frob: denied")}, 126, "Error: frob: denied\n"},
		{"hint", 125, &engine.HintError{Err: errors.New("no KVM"), Hint: "use --accel tcg"}, 125, "Error: no KVM\nHint: use --accel tcg\n"},
	}
	for _, tt := range tests {
		for _, mode := range []string{"-i", "-d"} {
			if mode == "-d" && (tt.err == nil || errors.Is(tt.err, engine.ErrDetached)) {
				continue
			}
			t.Run(tt.name+" "+mode, func(t *testing.T) {
				a := newTestApp(t)
				a.creates(func(engine.StartOptions) (int, error) { return tt.code, tt.err })
				if got := a.run(t, "run", mode, "img"); got != tt.want {
					t.Errorf("exit code %d, want %d", got, tt.want)
				}
				if got := a.err.String(); got != tt.stderr {
					t.Errorf("standard error %q, want %q", got, tt.stderr)
				}
			})
		}
	}
}

func TestRunDetachedPrintsTheID(t *testing.T) {
	a := newTestApp(t)
	a.creates(func(opts engine.StartOptions) (int, error) {
		if opts.Attach != nil {
			t.Error("attached")
		}
		return 0, nil
	})
	if code := a.run(t, "run", "-d", "img"); code != 0 || a.out.String() != testID+"\n" {
		t.Errorf("exit code %d, standard output %q", code, a.out.String())
	}
}

func TestFailedRunRemovesItsContainer(t *testing.T) {
	for _, mode := range []string{"-i", "-d"} {
		a := newTestApp(t)
		a.creates(func(engine.StartOptions) (int, error) { return 125, errors.New("no machine") })
		a.run(t, "run", "--rm", mode, "img")
		if !slices.Contains(a.engine.calls, "remove") || !slices.Equal(a.engine.selection.Names, []string{testID}) || !a.engine.selection.Ignore {
			t.Errorf("%s: calls %q, selection %+v", mode, a.engine.calls, a.engine.selection)
		}
		if opts := a.engine.options.(engine.RemoveOptions); opts.Force {
			t.Errorf("%s: the removal is forced", mode)
		}
		a.engine.calls = nil
		a.run(t, "run", mode, "img")
		if slices.Contains(a.engine.calls, "remove") {
			t.Errorf("%s: a container without --rm is removed", mode)
		}
	}
}

func TestRunWarnsWithoutTerminal(t *testing.T) {
	a := newTestApp(t)
	a.creates(func(engine.StartOptions) (int, error) { return 0, nil })
	a.run(t, "run", "-it", "img")
	if !strings.Contains(a.err.String(), "Warning: the input device is not a TTY") {
		t.Errorf("standard error %q", a.err.String())
	}
}

func TestTerminalIsGivenBackAfterPanic(t *testing.T) {
	a := newTestApp(t)
	a.terminal.terminals = []int{0}
	a.creates(func(engine.StartOptions) (int, error) { panic("bug") })
	func() {
		defer func() { _ = recover() }()
		a.run(t, "run", "-it", "img")
	}()
	if a.terminal.raw != 0 {
		t.Errorf("the terminal is left in raw mode")
	}
}

func TestCIDFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cid")
	a := newTestApp(t)
	a.creates(nil)
	if code := a.run(t, "create", "--cidfile", file, "img"); code != 0 {
		t.Fatalf("exit code %d: %s", code, a.err.String())
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != testID {
		t.Errorf("file %q, %v, want %q", got, err, testID)
	}
	if code := a.run(t, "create", "--cidfile", file, "img"); code != 125 || !strings.Contains(a.err.String(), "container id file "+file+" exists") {
		t.Errorf("existing file: exit code %d, %s", code, a.err.String())
	}
	a.engine.create = func(container.Spec, engine.CreateOptions) (container.Container, []string, error) {
		return container.Container{}, nil, io.ErrUnexpectedEOF
	}
	failed := filepath.Join(dir, "failed")
	a.run(t, "create", "--cidfile", failed, "img")
	if _, err := os.Stat(failed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a failed create leaves its file: %v", err)
	}
}
