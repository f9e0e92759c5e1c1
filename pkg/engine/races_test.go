package engine

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/image"
	"vpod/pkg/monitor"
	"vpod/pkg/store"
)

// What commands that run at the same time do to one another.

func TestSweep(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, e *Engine) (dir string)
		kept  bool
	}{
		{"a create was killed", func(t *testing.T, e *Engine) string {
			files := e.dirs.Container(strings.Repeat("c", 64))
			if err := files.Make(); err != nil {
				t.Fatal(err)
			}
			return files.Data
		}, false},
		{"the host was rebooted since", func(t *testing.T, e *Engine) string {
			files := e.dirs.Container(strings.Repeat("c", 64))
			if err := os.MkdirAll(files.Data, 0o700); err != nil {
				t.Fatal(err)
			}
			return files.Data
		}, false},
		{"a removal was killed at its end", func(t *testing.T, e *Engine) string {
			files := e.dirs.Container(strings.Repeat("c", 64))
			if err := os.MkdirAll(files.Run, 0o700); err != nil {
				t.Fatal(err)
			}
			return files.Run
		}, false},
		{"a create is under way", func(t *testing.T, e *Engine) string {
			files := e.dirs.Container(strings.Repeat("c", 64))
			op, err := e.reserve(t.Context(), files)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { op.Close() })
			return files.Data
		}, true},
		{"a container", func(t *testing.T, e *Engine) string {
			return addContainer(t, e, testSpec(), container.Exited).Data
		}, true},
		{"something else", func(t *testing.T, e *Engine) string {
			dir := e.dirs.Containers() + "/lost+found"
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			return dir
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			dir := tt.setup(t, e)
			if _, err := e.List(t.Context(), ListOptions{All: true}); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(dir); (err == nil) != tt.kept {
				t.Errorf("%s: %v, want kept: %t", dir, err, tt.kept)
			}
		})
	}
}

// A layer in the image store is found again when the command that made it was
// killed before the row was there.
func TestSweepLayers(t *testing.T) {
	if !image.InUserNamespace() {
		t.Skip("needs root, or a user namespace, to open an image store")
	}
	for _, tt := range []struct {
		name   string
		setup  func(t *testing.T, e *Engine, id string)
		layers int
		marked bool
	}{
		{"a create was killed", func(*testing.T, *Engine, string) {}, 0, false},
		{"a create is under way", func(t *testing.T, e *Engine, id string) {
			op, err := e.reserve(t.Context(), e.dirs.Container(id))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { op.Close() })
		}, 1, true},
		{"killed when the row was there", func(t *testing.T, e *Engine, id string) {
			spec := testSpec()
			spec.ID = id
			addContainer(t, e, spec, container.Created)
		}, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conf := t.TempDir() + "/containers.conf"
			if err := os.WriteFile(conf, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("CONTAINERS_CONF", conf)
			t.Setenv("CONTAINERS_STORAGE_CONF", conf)
			t.Setenv("STORAGE_DRIVER", "vfs") // leaves no mount behind
			e := testEngine(t)
			id := strings.Repeat("c", 64)
			if err := e.markLayer(id); err != nil {
				t.Fatal(err)
			}
			if err := e.images().CreateLayer(t.Context(), id, "", false); err != nil {
				t.Fatal(err)
			}
			tt.setup(t, e, id)
			if _, err := e.List(t.Context(), ListOptions{All: true}); err != nil {
				t.Fatal(err)
			}
			layers, err := e.images().Layers(t.Context())
			if err != nil || len(layers) != tt.layers {
				t.Errorf("%d layers, %v; want %d", len(layers), err, tt.layers)
			}
			if _, err := os.Stat(e.dirs.Layers() + "/" + id); (err == nil) != tt.marked {
				t.Errorf("the mark: %v, want kept: %t", err, tt.marked)
			}
		})
	}
}

// A record read before another command changed it must not decide.
func TestSettleGoesByTheStoredRecord(t *testing.T) {
	e := testEngine(t)
	files := addContainer(t, e, testSpec(), container.Starting)
	old, _, err := e.find(t.Context(), "web") // settles: its start was interrupted
	if err != nil {
		t.Fatal(err)
	}
	old.Record.State, old.Record.StartedAt = container.Starting, time.Unix(1, 0)
	for _, next := range []container.State{container.Starting, container.Running} {
		if err := e.setState(t.Context(), old.Spec.ID, func(r *container.Record) { r.State, r.StartedAt = next, time.Now() }); err != nil {
			t.Fatal(err)
		}
	}
	writeJSON(t, files.Exit(), monitor.Exit{ExitCode: 7, FinishedAt: time.Now()})
	got, live, _, err := e.observe(t.Context(), old)
	if err != nil || live != nil || got.Record.State != container.Exited || got.Record.ExitCode != 7 {
		t.Errorf("observe = %+v, %v, %v; want exited with 7", got.Record, live, err)
	}
}

// Waiting for an end must not look like a running container to others.
func TestAwaitEndTakesNoLock(t *testing.T) {
	e := testEngine(t)
	files := addContainer(t, e, testSpec(), container.Exited)
	for range 100 {
		done := make(chan error, 1)
		go func() { done <- e.awaitEnd(t.Context(), testSpec()) }()
		lock, err := filelock.TryLock(files.LiveLock())
		if err != nil {
			t.Fatalf("the lock was taken by who only waits for it: %v", err)
		}
		lock.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// Between the taking of the lock and the monitor's first word nobody answers a
// stop, which must wait for that, not give up.
func TestStopWhileStarting(t *testing.T) {
	e := testEngine(t)
	files := addContainer(t, e, testSpec(), container.Starting)
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { lock.Close() })
	zero := 0
	got := e.Stop(t.Context(), Selection{Names: []string{"web"}}, StopOptions{TimeoutSeconds: &zero})
	if len(got) != 1 || got[0].Err != nil {
		t.Fatalf("Stop = %+v", got)
	}
	c, live, err := e.find(t.Context(), "web")
	if err != nil || live != nil || c.Record.State != container.Created {
		t.Errorf("after it: %s, %v, %v; want created", c.Record.State, live, err)
	}
}

func TestExecNeedsARunningContainer(t *testing.T) {
	for _, state := range []string{"starting", "restarting"} {
		t.Run(state, func(t *testing.T) {
			e := testEngine(t)
			files := addContainer(t, e, testSpec(), container.Starting)
			lock, err := filelock.TryLock(files.LiveLock())
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			writeJSON(t, files.Status(), monitor.Status{State: state})
			_, _, err = e.Exec(t.Context(), "web", ExecOptions{Command: []string{"true"}})
			var refused *container.StateError
			if !errors.As(err, &refused) || string(refused.Have) != state {
				t.Errorf("Exec: %v, want a StateError with %q", err, state)
			}
		})
	}
}

// A start that comes while a removal holds the container must neither run nor
// leave directories.
func TestStartOfRemoved(t *testing.T) {
	e := testEngine(t)
	files := addContainer(t, e, testSpec(), container.Exited)
	results := e.Remove(t.Context(), Selection{Names: []string{"web"}}, RemoveOptions{})
	if results[0].Err != nil {
		t.Fatal(results[0].Err)
	}
	if _, err := e.start(t.Context(), testSpec(), StartOptions{}); !errors.Is(err, errNoContainer) {
		t.Errorf("start: %v, want no such container", err)
	}
	for _, dir := range []string{files.Data, files.Run} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// One container that cannot be looked at must not hide the others.
func TestListPassesOverTheUnreadable(t *testing.T) {
	e := testEngine(t)
	var notices []string
	e.opts.Notice = func(line string) { notices = append(notices, line) }
	other := testSpec()
	other.ID, other.Name = strings.Repeat("b", 64), "db"
	addContainer(t, e, other, container.Exited)
	files := addContainer(t, e, testSpec(), container.Running)
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := os.WriteFile(files.Status(), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := e.List(context.Background(), ListOptions{All: true})
	if err != nil || len(rows) != 2 || len(notices) != 1 {
		t.Errorf("List = %d rows, %v, notices %q; want 2 rows and one notice", len(rows), err, notices)
	}
}

// What a user can do about an error comes with it.
func TestErrorsHint(t *testing.T) {
	e := testEngine(t)
	addContainer(t, e, testSpec(), container.Exited)
	_, _, unknown := e.find(t.Context(), "nope")
	for _, tt := range []struct {
		name string
		err  error
		is   error
	}{
		{"unknown container", unknown, ErrNoContainer},
		{"name in use", e.checkFree(t.Context(), "web", false), store.ErrNameInUse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hinted *HintError
			if !errors.Is(tt.err, tt.is) || !errors.As(tt.err, &hinted) {
				t.Errorf("%v: want %v with a hint", tt.err, tt.is)
			}
		})
	}
}
