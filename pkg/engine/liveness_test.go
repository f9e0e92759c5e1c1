package engine

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// testEngine is an engine over empty directories.
func testEngine(t *testing.T) *Engine {
	t.Helper()
	dir := t.TempDir()
	e, err := New(Options{
		Paths:  paths.Override{Root: dir + "/r", RunRoot: dir + "/rr"},
		Log:    slog.New(slog.DiscardHandler),
		Notice: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// addContainer inserts a container in the given state, with its directories.
func addContainer(t *testing.T, e *Engine, spec container.Spec, state container.State) paths.Container {
	t.Helper()
	db, err := e.state(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	spec.Rootfs.Mode = container.RootfsDisk
	spec.Created = time.Now()
	if err := db.Insert(t.Context(), spec, container.Record{ID: spec.ID, State: state, StartedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	files := e.dirs.Container(spec.ID)
	if err := files.Make(); err != nil {
		t.Fatal(err)
	}
	return files
}

func writeJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRecordedRunningIsNotRunning(t *testing.T) {
	for _, tt := range []struct {
		name      string
		state     container.State
		exit      *monitor.Exit
		wantCode  int
		wantError string
	}{
		{"it ended by itself", container.Running, &monitor.Exit{ExitCode: 3, FinishedAt: time.Now()}, 3, ""},
		{"its machine was lost", container.Running, &monitor.Exit{ExitCode: 125, Error: "guest panic", FinishedAt: time.Now()}, 125, "guest panic"},
		{"its monitor was killed", container.Running, nil, 137, "its monitor was killed"},
		{"while it was stopped", container.Stopping, nil, 137, "its monitor was killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			files := addContainer(t, e, testSpec(), tt.state)
			writeJSON(t, files.Status(), monitor.Status{State: "running", MonitorPID: 1})
			if tt.exit != nil {
				writeJSON(t, files.Exit(), tt.exit)
			}
			c, live, err := e.find(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			if live != nil || c.Record.State != container.Exited || c.Record.ExitCode != tt.wantCode || !strings.Contains(c.Record.Error, tt.wantError) {
				t.Errorf("found %s, code %d, error %q, live %v; want exited, code %d, error with %q", c.Record.State, c.Record.ExitCode, c.Record.Error, live, tt.wantCode, tt.wantError)
			}
			if _, err := os.Stat(files.Status()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the dead monitor's status file is still there: %v", err)
			}
			again, _, err := e.find(t.Context(), "web")
			if err != nil || again.Record != c.Record {
				t.Errorf("the second look differs: %+v, %v; want %+v", again.Record, err, c.Record)
			}
		})
	}
}

// A container whose command did not come to run stays what it was.
func TestFailedStartChangesNothing(t *testing.T) {
	ended := time.Now().Add(-time.Hour).Round(0).UTC()
	for _, tt := range []struct {
		name      string
		before    container.Record
		auto      bool
		exit      *monitor.Exit // what the monitor left; nil with told: the command was told by it, else nobody was
		told      bool
		want      container.State
		wantCode  int
		wantError string
	}{
		{"new, interrupted", container.Record{}, false, nil, false, container.Created, 0, "interrupted"},
		{"new, found by another command", container.Record{}, false, &monitor.Exit{ExitCode: 127, Error: "no such file", FinishedAt: time.Now()}, false, container.Created, 0, "no such file"},
		{"new, told", container.Record{}, false, nil, true, container.Created, 0, "no such file"},
		{"ended before, interrupted", container.Record{ExitCode: 5, FinishedAt: ended}, false, nil, false, container.Exited, 5, "interrupted"},
		{"ended before, told", container.Record{ExitCode: 5, FinishedAt: ended}, false, nil, true, container.Exited, 5, "no such file"},
		{"ran for a moment", container.Record{}, false, &monitor.Exit{ExitCode: 3, StartedAt: ended, FinishedAt: ended}, false, container.Exited, 3, ""},
		{"to be removed", container.Record{}, true, nil, true, "", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			spec := testSpec()
			spec.AutoRemove = tt.auto
			files := addContainer(t, e, spec, container.Starting)
			err := e.setState(t.Context(), spec.ID, func(r *container.Record) {
				r.ExitCode, r.FinishedAt, r.StartedAt = tt.before.ExitCode, tt.before.FinishedAt, time.Time{}
			})
			if err != nil {
				t.Fatal(err)
			}
			if tt.exit != nil {
				writeJSON(t, files.Exit(), tt.exit)
			}
			if tt.told {
				if err := e.startFailed(t.Context(), spec, &ExitError{Code: 127, Err: errors.New("no such file")}); err != nil {
					t.Fatal(err)
				}
			}
			c, _, err := e.find(t.Context(), "web")
			if tt.want == "" {
				if !errors.Is(err, errNoContainer) {
					t.Errorf("found %+v, %v; want it removed", c.Record, err)
				}
				return
			}
			if r := c.Record; err != nil || r.State != tt.want || r.ExitCode != tt.wantCode || !strings.Contains(r.Error, tt.wantError) || (r.Error == "") != (tt.wantError == "") {
				t.Errorf("found %+v, %v; want %s, code %d, error with %q", r, err, tt.want, tt.wantCode, tt.wantError)
			}
			if tt.want == container.Created {
				// Nothing to wait for, and nothing in the way of another start.
				codes, _ := e.Wait(t.Context(), Selection{Names: []string{"web"}}, WaitOptions{})
				if len(codes) != 1 || codes[0] != 0 || requireState(c, "start", "", container.Created) != nil {
					t.Errorf("Wait = %v, want 0", codes)
				}
			}
		})
	}
}

func TestHeldLockIsRunning(t *testing.T) {
	e := testEngine(t)
	files := addContainer(t, e, testSpec(), container.Running)
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	writeJSON(t, files.Status(), monitor.Status{State: "restarting", MonitorPID: 7, QEMUPID: 8})
	rows, err := e.List(t.Context(), ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1 || rows[0].ShownState() != "restarting" || rows[0].Live.QEMUPID != 8 {
		t.Errorf("List = %+v, want one restarting container", rows)
	}
	if got := e.Remove(t.Context(), Selection{Names: []string{"web"}}, RemoveOptions{}); got[0].Err == nil {
		t.Error("a running container was removed without force")
	}
	var refused *container.StateError
	got := e.Remove(t.Context(), Selection{Names: []string{"web"}}, RemoveOptions{})
	if !errors.As(got[0].Err, &refused) {
		t.Errorf("Remove: %v, want a StateError", got[0].Err)
	}
}

func TestInterruptedRemovalIsFinished(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state container.State
		auto  bool
	}{
		{"removal had begun", container.Removing, false},
		{"an ended --rm container", container.Exited, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			spec := testSpec()
			spec.AutoRemove = tt.auto
			files := addContainer(t, e, spec, tt.state)
			rows, err := e.List(t.Context(), ListOptions{All: true})
			if err != nil || len(rows) != 0 {
				t.Errorf("List = %v, %v; want nothing", rows, err)
			}
			for _, dir := range []string{files.Data, files.Run} {
				if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("%s is left: %v", dir, err)
				}
			}
		})
	}
}

func TestRemoveTwiceAtOnce(t *testing.T) {
	e := testEngine(t)
	addContainer(t, e, testSpec(), container.Exited)
	results := make(chan []Result, 8)
	for range cap(results) {
		go func() {
			results <- e.Remove(t.Context(), Selection{Names: []string{"web"}, Ignore: true}, RemoveOptions{})
		}()
	}
	for range cap(results) {
		for _, r := range <-results {
			if r.Err != nil && !errors.Is(r.Err, errNoContainer) {
				t.Errorf("Remove: %v", r.Err)
			}
		}
	}
}

func TestSelection(t *testing.T) {
	e := testEngine(t)
	one, two := testSpec(), testSpec()
	two.ID, two.Name = strings.Repeat("b", 64), "db"
	addContainer(t, e, one, container.Exited)
	addContainer(t, e, two, container.Exited)
	for _, tt := range []struct {
		name    string
		sel     Selection
		want    string
		wantErr bool
	}{
		{"by name", Selection{Names: []string{"db"}}, "db", false},
		{"by id prefix", Selection{Names: []string{"bbb"}}, "db", false},
		{"the same one twice", Selection{Names: []string{"db", "bbb"}}, "db", false},
		{"all", Selection{All: true}, "web db", false},
		{"latest", Selection{Latest: true}, "db", false},
		{"filter", Selection{Filters: []string{"name=web"}}, "web", false},
		{"unknown", Selection{Names: []string{"nope"}}, "", true},
		{"unknown, ignored", Selection{Names: []string{"nope", "db"}, Ignore: true}, "db", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list, err := e.choose(t.Context(), tt.sel, nil)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			failed := false
			for _, c := range list {
				failed = failed || c.Err != nil
				if c.Err == nil {
					names = append(names, c.Spec.Name)
				}
			}
			if strings.Join(names, " ") != tt.want || failed != tt.wantErr {
				t.Errorf("choose(%+v) = %q, failed %t; want %q, %t", tt.sel, names, failed, tt.want, tt.wantErr)
			}
		})
	}
}
