package cli

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func TestSelection(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cid")
	if err := os.WriteFile(file, []byte(testID+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	two := 2
	tests := []struct {
		name string
		args []string
		call string
		sel  engine.Selection
		opts any
		err  string
	}{
		{"stop", []string{"stop", "a", "b"}, "stop", engine.Selection{Names: []string{"a", "b"}}, engine.StopOptions{}, ""},
		{"stop all", []string{"stop", "-a", "-t", "2"}, "stop", engine.Selection{All: true}, engine.StopOptions{TimeoutSeconds: &two}, ""},
		{"stop, the time by its other name", []string{"stop", "--timeout", "2", "a"}, "stop", engine.Selection{Names: []string{"a"}}, engine.StopOptions{TimeoutSeconds: &two}, ""},
		{"stop latest", []string{"stop", "-l"}, "stop", engine.Selection{Latest: true}, engine.StopOptions{}, ""},
		{"stop by filter", []string{"stop", "-f", "label=x", "--filter", "name=y"}, "stop", engine.Selection{Filters: []string{"label=x", "name=y"}}, engine.StopOptions{}, ""},
		{"stop by file", []string{"stop", "--cidfile", file, "-i"}, "stop", engine.Selection{Names: []string{testID}, Ignore: true}, engine.StopOptions{}, ""},
		{"stop by missing file, ignored", []string{"stop", "--cidfile", missing, "-i"}, "", engine.Selection{}, nil, ""},
		{"stop by missing file", []string{"stop", "--cidfile", missing}, "", engine.Selection{}, nil, "--cidfile: stat " + missing},
		{"stop by empty file", []string{"stop", "--cidfile", empty}, "", engine.Selection{}, nil, "no container id"},
		{"stop nothing", []string{"stop"}, "", engine.Selection{}, nil, "you must provide at least one name or id"},
		{"stop all and some", []string{"stop", "-a", "x"}, "", engine.Selection{}, nil, "no containers are to be named with --all"},
		{"stop all and latest", []string{"stop", "-a", "-l"}, "", engine.Selection{}, nil, "--all and --latest"},
		{"stop latest and some", []string{"stop", "-l", "x"}, "", engine.Selection{}, nil, "--latest cannot"},
		{"stop by filter and name", []string{"stop", "-f", "name=x", "x"}, "", engine.Selection{}, nil, "--filter and names"},
		{"kill", []string{"kill", "a"}, "kill", engine.Selection{Names: []string{"a"}}, 9, ""},
		{"kill with a signal", []string{"kill", "-s", "hup", "a"}, "kill", engine.Selection{Names: []string{"a"}}, 1, ""},
		{"kill with a number", []string{"container", "kill", "--signal=10", "--all"}, "kill", engine.Selection{All: true}, 10, ""},
		{"pause", []string{"pause", "a", "b"}, "pause", engine.Selection{Names: []string{"a", "b"}}, nil, ""},
		{"pause all", []string{"container", "pause", "--all"}, "pause", engine.Selection{All: true}, nil, ""},
		{"pause nothing", []string{"pause"}, "", engine.Selection{}, nil, "you must provide at least one name or id"},
		{"unpause", []string{"unpause", "a"}, "unpause", engine.Selection{Names: []string{"a"}}, nil, ""},
		{"unpause all", []string{"unpause", "-a"}, "unpause", engine.Selection{All: true}, nil, ""},
		{"kill with nonsense", []string{"kill", "-s", "FOO", "a"}, "", engine.Selection{}, nil, `--signal "FOO": no such signal`},
		{"restart", []string{"restart", "-t", "2", "a"}, "restart", engine.Selection{Names: []string{"a"}}, engine.StopOptions{TimeoutSeconds: &two}, ""},
		{"restart those that run", []string{"restart", "--running"}, "restart running", engine.Selection{All: true}, engine.StopOptions{}, ""},
		{"remove", []string{"rm", "-v", "a"}, "remove", engine.Selection{Names: []string{"a"}}, engine.RemoveOptions{Volumes: true}, ""},
		{"remove by force", []string{"rm", "-f", "-t", "2", "a"}, "remove", engine.Selection{Names: []string{"a"}, Ignore: true}, engine.RemoveOptions{Force: true, TimeoutSeconds: &two}, ""},
		{"start", []string{"start", "a", "b"}, "start selected", engine.Selection{Names: []string{"a", "b"}}, nil, ""},
		{"start all", []string{"start", "--all"}, "start selected", engine.Selection{All: true}, nil, ""},
		{"start with keys for nobody", []string{"start", "--detach-keys", "x", "a"}, "", engine.Selection{}, nil, "--detach-keys needs --attach"},
		{"attach to two", []string{"start", "-a", "a", "b"}, "", engine.Selection{}, nil, "several containers at once"},
		{"wait", []string{"wait", "-i", "500", "a"}, "wait", engine.Selection{Names: []string{"a"}}, engine.WaitOptions{Interval: 500 * time.Millisecond}, ""},
		{"wait for a state", []string{"wait", "--condition", "running,exited", "--interval", "2s", "--ignore", "a"}, "wait", engine.Selection{Names: []string{"a"}, Ignore: true},
			engine.WaitOptions{Interval: 2 * time.Second, Conditions: []string{"running", "exited"}, Ignore: true}, ""},
		{"wait for nonsense", []string{"wait", "--condition", "foo", "a"}, "", engine.Selection{}, nil, `--condition "foo"`},
		{"wait by nonsense", []string{"wait", "--interval", "foo", "a"}, "", engine.Selection{}, nil, `--interval "foo"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			code := a.run(t, tt.args...)
			if a.refused(t, code, tt.err) {
				return
			}
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			if tt.call == "" {
				if len(a.engine.calls) != 0 {
					t.Errorf("calls %q, want none", a.engine.calls)
				}
				return
			}
			if !slices.Equal(a.engine.calls, []string{tt.call, "close"}) {
				t.Errorf("calls %q, want %q", a.engine.calls, tt.call)
			}
			if !reflect.DeepEqual(a.engine.selection, tt.sel) {
				t.Errorf("selection %+v, want %+v", a.engine.selection, tt.sel)
			}
			if !reflect.DeepEqual(a.engine.options, tt.opts) {
				t.Errorf("options %+v, want %+v", a.engine.options, tt.opts)
			}
		})
	}
}

func TestResults(t *testing.T) {
	running := &container.StateError{Name: "c", Have: container.Running, Verb: "remove"}
	other := errors.New("disk on fire")
	tests := []struct {
		name    string
		args    []string
		results []engine.Result
		code    int
		out     string
		err     string
	}{
		{"names as typed", []string{"stop", "a", "b"}, []engine.Result{{Input: "a", ID: "1"}, {Input: "b", ID: "2"}}, 0, "a\nb\n", ""},
		{"ids", []string{"stop", "-a"}, []engine.Result{{ID: "1"}}, 0, "1\n", ""},
		{"one missing", []string{"stop", "a", "b"}, []engine.Result{{Input: "a", Err: noContainer("a")}, {Input: "b"}}, 125, "b\n", "Error: no such container: a\nHint: `vpod ps --all` lists the containers there are\n"},
		{"rm of a missing one", []string{"rm", "a", "b"}, []engine.Result{{Input: "a", Err: noContainer("a")}, {Input: "b"}}, 1, "b\n", "Error: no such container: a\nHint: `vpod ps --all` lists the containers there are\n"},
		{"rm of one that runs", []string{"rm", "c"}, []engine.Result{{Input: "c", Err: running}}, 2, "", "Error: cannot remove container c: it is running\n"},
		{"rm of one that runs and a missing one", []string{"rm", "a", "c"}, []engine.Result{{Err: noContainer("a")}, {Err: running}}, 2, "", "Error: no such container: a\nHint: `vpod ps --all` lists the containers there are\nError: cannot remove container c: it is running\n"},
		{"rm that fails", []string{"rm", "a", "b"}, []engine.Result{{Err: noContainer("a")}, {Err: other}}, 125, "", "Error: no such container: a\nHint: `vpod ps --all` lists the containers there are\nError: disk on fire\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.results = func(engine.Selection) []engine.Result { return tt.results }
			if code := a.run(t, tt.args...); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if a.out.String() != tt.out || a.err.String() != tt.err {
				t.Errorf("output %q and %q, want %q and %q", a.out.String(), a.err.String(), tt.out, tt.err)
			}
		})
	}
}

func TestWaitPrintsExitCodes(t *testing.T) {
	a := newTestApp(t)
	a.engine.codes = []int{3, -1, 0}
	a.engine.results = func(engine.Selection) []engine.Result {
		return []engine.Result{{Input: "a"}, {Input: "b", Err: noContainer("b")}, {Input: "c"}}
	}
	if code := a.run(t, "wait", "a", "b", "c"); code != 125 || a.out.String() != "3\n0\n" {
		t.Errorf("exit code %d, standard output %q", code, a.out.String())
	}
}

func TestAttachAndStart(t *testing.T) {
	listed := func(name string, p container.Process) engine.Listed {
		return engine.Listed{Container: container.Container{Spec: container.Spec{ID: name + "-id", Name: name, Process: p}}}
	}
	list := []engine.Listed{
		listed("tty", container.Process{Terminal: true, Interactive: true}),
		listed("open", container.Process{Interactive: true}),
		listed("plain", container.Process{}),
	}
	tests := []struct {
		name string
		args []string
		call string
		in   bool
		tty  bool
		code int
	}{
		{"attach", []string{"attach", "open"}, "attach open-id", true, false, 4},
		{"attach to a terminal", []string{"attach", "tty"}, "attach tty-id", true, true, 4},
		{"attach without input", []string{"attach", "--no-stdin", "tty"}, "attach tty-id", false, true, 4},
		{"attach to one that reads nothing", []string{"attach", "plain"}, "attach plain-id", false, false, 4},
		{"attach to the latest", []string{"attach", "-l"}, "attach tty-id", true, true, 4},
		{"start and attach", []string{"start", "-a", "open"}, "start open-id", false, false, 4},
		{"start with input", []string{"start", "-ai", "open"}, "start open-id", true, false, 4},
		{"start with input alone", []string{"start", "-i", "tty"}, "start tty-id", true, true, 4},
		{"start the latest", []string{"start", "-a", "-l"}, "start tty-id", false, true, 4},
		{"attach to a missing one", []string{"attach", "nosuch"}, "", false, false, 125},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.terminal.terminals = []int{0, 1, 2}
			a.engine.list = list
			check := func(s engine.Streams) (int, error) {
				if (s.Stdin != nil) != tt.in || (s.Resize != nil) != tt.tty || s.Signals == nil {
					t.Errorf("input %v, resize %v, signals %v; want input %v, terminal %v", s.Stdin != nil, s.Resize != nil, s.Signals != nil, tt.in, tt.tty)
				}
				return 4, nil
			}
			a.engine.attachFunc = func(_ string, s engine.Streams) (int, error) { return check(s) }
			a.engine.startFunc = func(_ string, opts engine.StartOptions) (int, error) { return check(*opts.Attach) }
			if code := a.run(t, tt.args...); code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, a.err.String())
			}
			if tt.call != "" && !slices.Contains(a.engine.calls, tt.call) {
				t.Errorf("calls %q, want %q", a.engine.calls, tt.call)
			}
		})
	}
}

func TestExec(t *testing.T) {
	tests := []struct {
		name string
		args []string
		call string
		want engine.ExecOptions
		out  string
		err  string
	}{
		{"plain", []string{"a", "ls", "-l"}, "exec a", engine.ExecOptions{Command: []string{"ls", "-l"}}, "", ""},
		{"everything", []string{"-it", "-e", "A=b", "-e", "HOME", "-u", "u:g", "-w", "/w", "--privileged", "a", "sh"}, "exec a",
			engine.ExecOptions{Command: []string{"sh"}, Env: []string{"A=b", "HOME=/home/u"}, User: "u:g", WorkDir: "/w", Terminal: true, Privileged: true, Size: &engine.Size{Rows: 5, Cols: 6}}, "", ""},
		{"detached", []string{"-d", "a", "sleep", "9"}, "exec a", engine.ExecOptions{Command: []string{"sleep", "9"}, Detach: true}, "session\n", ""},
		{"latest", []string{"-l", "ls"}, "exec new", engine.ExecOptions{Command: []string{"ls"}}, "", ""},
		{"nobody", nil, "", engine.ExecOptions{}, "", "exec requires the name or id of a container"},
		{"nothing", []string{"a"}, "", engine.ExecOptions{}, "", "you must provide a command"},
		{"relative", []string{"-w", "x", "a", "ls"}, "", engine.ExecOptions{}, "", `--workdir "x"`},
		{"nobody feeds it", []string{"-di", "a", "ls"}, "", engine.ExecOptions{}, "", "--detach and --interactive"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.terminal.terminals, a.terminal.size = []int{0}, engine.Size{Rows: 5, Cols: 6}
			a.engine.list = []engine.Listed{{Container: container.Container{Spec: container.Spec{ID: "new"}}}}
			var got engine.ExecOptions
			a.engine.exec = func(_ string, opts engine.ExecOptions) (int, string, error) {
				got = opts
				return 0, "session", nil
			}
			code := a.run(t, append([]string{"exec"}, tt.args...)...)
			if a.refused(t, code, tt.err) {
				return
			}
			if code != 0 || a.out.String() != tt.out || !slices.Contains(a.engine.calls, tt.call) {
				t.Errorf("exit code %d, output %q, calls %q: %s", code, a.out.String(), a.engine.calls, a.err.String())
			}
			got.Streams = engine.Streams{}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("options %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestLogs(t *testing.T) {
	tests := []struct {
		args string
		want engine.LogOptions
		err  string
	}{
		{"a", engine.LogOptions{Tail: -1}, ""},
		{"-f -t -n --color --tail 5 a b", engine.LogOptions{Tail: 5, Follow: true, Timestamps: true, Names: true, Color: true}, ""},
		{"--since 10m --until 1m a", engine.LogOptions{Tail: -1, Since: testNow.Add(-10 * time.Minute), Until: testNow.Add(-time.Minute)}, ""},
		{"--since 2026-01-02T03:04:05Z a", engine.LogOptions{Tail: -1, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, ""},
		{"--since 100.5 a", engine.LogOptions{Tail: -1, Since: time.Unix(100, 500_000_000)}, ""},
		{"--since yesterday a", engine.LogOptions{}, `--since "yesterday"`},
		{"--tail x a", engine.LogOptions{}, "--tail"},
		{"", engine.LogOptions{}, "specify at least one container"},
		{"-l a", engine.LogOptions{}, "--latest and names"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			a := newTestApp(t)
			code := a.run(t, append([]string{"logs"}, strings.Fields(tt.args)...)...)
			if a.refused(t, code, tt.err) {
				return
			}
			got, _ := a.engine.options.(engine.LogOptions)
			if !got.Since.Equal(tt.want.Since) || !got.Until.Equal(tt.want.Until) {
				t.Errorf("from %v to %v, want %v to %v", got.Since, got.Until, tt.want.Since, tt.want.Until)
			}
			got.Since, got.Until, tt.want.Since, tt.want.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
			if code != 0 || got != tt.want || a.out.String() != "a line\n" {
				t.Errorf("exit code %d, options %+v, want %+v", code, got, tt.want)
			}
		})
	}
}

func TestExistsAndPrune(t *testing.T) {
	a := newTestApp(t)
	a.engine.list = []engine.Listed{
		{Container: container.Container{Spec: container.Spec{ID: "1", Name: "made"}, Record: container.Record{State: container.Created}}},
		{Container: container.Container{Spec: container.Spec{ID: "2", Name: "runs"}, Record: container.Record{State: container.Running}}, Live: engine.Live{State: "running"}},
		{Container: container.Container{Spec: container.Spec{ID: "3", Name: "ended"}, Record: container.Record{State: container.Exited}}},
	}
	a.engine.results = func(sel engine.Selection) []engine.Result {
		var out []engine.Result
		for _, n := range sel.Names {
			out = append(out, engine.Result{Input: n})
		}
		return out
	}
	if code := a.run(t, "container", "exists", "made"); code != 0 {
		t.Errorf("exists made: exit code %d", code)
	}
	if code := a.run(t, "container", "exists", "nosuch"); code != 1 || a.err.Len() != 0 {
		t.Errorf("exists nosuch: exit code %d, %q", code, a.err.String())
	}
	if code := a.run(t, "container", "prune", "--force"); code != 0 || a.out.String() != "1\n3\n" {
		t.Errorf("prune: exit code %d, %q", code, a.out.String())
	}
	for answer, want := range map[string]string{"y\n": "1\n3\n", "n\n": "", "\n": ""} {
		a.Stdin = strings.NewReader(answer)
		if code := a.run(t, "container", "prune"); code != 0 || a.out.String() != want {
			t.Errorf("prune, answered %q: exit code %d, %q, want %q", answer, code, a.out.String(), want)
		}
	}
	a.Stdin = strings.NewReader("")
	if code := a.run(t, "container", "prune"); code != 125 || !strings.Contains(a.err.String(), "--force") {
		t.Errorf("prune without an answer: exit code %d, %q", code, a.err.String())
	}
}
