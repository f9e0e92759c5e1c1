package cli

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/engine"
	"vpod/pkg/timing"
)

// timed lets the fake engine start a container that prints on standard error, and
// returns what the engine is given to record with.
func (a *testApp) timed(code int, err error) *engine.Options {
	given := &engine.Options{}
	a.Loaded = []timing.Mark{{By: timing.Vpod, What: "execute", AtNanos: timing.Now()}, {By: timing.Vpod, What: "initialise", AtNanos: timing.Now()}}
	a.NewEngine = func(o engine.Options) (Engine, error) { *given = o; return a.engine, nil }
	a.creates(func(opts engine.StartOptions) (int, error) {
		if opts.Attach != nil {
			_, _ = opts.Attach.Stderr.Write([]byte("said\n"))
		}
		given.Timing.Mark("start it")
		return code, err
	})
	return given
}

func TestTimingJSON(t *testing.T) {
	a := newTestApp(t)
	a.timed(3, nil)
	if code := a.run(t, "run", "--timing=json", "img"); code != 3 {
		t.Errorf("exit code %d, want the container's", code)
	}
	said, line, ok := strings.Cut(a.err.String(), "\n")
	if !ok || said != "said" || strings.Count(line, "\n") != 1 || a.out.Len() > 0 {
		t.Fatalf("standard error %q, output %q", a.err.String(), a.out.String())
	}
	var r timing.Report
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		t.Fatal(err)
	}
	var names []string
	sum := int64(0)
	for _, p := range r.Phases {
		names = append(names, p.By+": "+p.What)
		sum += p.TookNanos
	}
	want := []string{"vpod: initialise", "vpod: read the options", "vpod: start it", "vpod: close the state", "vpod: say how it went"}
	if !slices.Equal(names, want) || sum != r.TotalNanos || sum <= 0 {
		t.Errorf("phases %q of %d ns, the whole %d ns; want %q", names, sum, r.TotalNanos, want)
	}
	if len(r.Usage) != 1 || r.Usage[0].Process != timing.Vpod {
		t.Errorf("usage %+v", r.Usage)
	}
}

func TestTimingText(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		fail error
		code int
		last bool // the text comes last
	}{
		{"run", []string{"run", "--timing", "img"}, nil, 0, true},
		{"in a word", []string{"run", "--timing=text", "img"}, nil, 0, true},
		{"detached", []string{"run", "--timing", "-d", "img"}, nil, 0, true},
		{"after an error", []string{"run", "--timing", "img"}, &engine.ExitError{Code: 127, Err: os.ErrNotExist}, 127, true},
		{"not asked for", []string{"run", "img"}, nil, 0, false},
		{"an unknown format", []string{"run", "--timing=xml", "img"}, nil, 125, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			given := a.timed(0, tt.fail)
			if code := a.run(t, tt.args...); code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, a.err.String())
			}
			_, after, shown := strings.Cut(a.err.String(), "BEGIN ms")
			if shown != tt.last || (given.Timing != nil) != tt.last {
				t.Errorf("standard error %q, recorded %t", a.err.String(), given.Timing != nil)
			}
			if shown && (strings.Contains(after, "Error") || !strings.Contains(after, "start it")) {
				t.Errorf("the table reads %q", after)
			}
		})
	}
}

// TestTimingOverExec checks that what was recorded goes along where the process
// begins anew in a user namespace, and nowhere else.
func TestTimingOverExec(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want bool
	}{{[]string{"run", "--timing", "img"}, true}, {[]string{"run", "img"}, false}} {
		a := newTestApp(t)
		a.timed(0, nil)
		var carried []timing.Mark
		a.EnterUserNamespace = func(*slog.Logger) error {
			began := Began{AtNanos: timing.Now(), ProcessorNanos: 1}
			if carried = began.marks(); carried[0].What != "execute" && tt.want {
				t.Errorf("%q: begins with %+v", tt.args, carried[0])
			}
			return nil
		}
		a.run(t, tt.args...)
		want := 2
		if tt.want {
			want = 5
		}
		if len(carried) != want {
			t.Errorf("%q: %d marks after the exec, want %d: %+v", tt.args, len(carried), want, carried)
		}
		for _, v := range os.Environ() {
			if strings.Contains(v, "initialise") {
				t.Errorf("%q: the environment keeps %s", tt.args, v)
			}
		}
	}
}

func TestStartTiming(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"one", []string{"start", "--timing", "web"}, 0, "start selected"},
		{"several", []string{"start", "--timing", "web", "db"}, 125, "--timing is about the start of one container"},
		{"all", []string{"start", "--timing", "--all"}, 125, "--timing is about the start of one container"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.timed(0, nil)
			if code := a.run(t, tt.args...); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if got := a.err.String() + strings.Join(a.engine.calls, " "); !strings.Contains(got, tt.want) {
				t.Errorf("standard error and calls %q, want %q", got, tt.want)
			}
		})
	}
}
