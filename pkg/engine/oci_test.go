package engine

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func newTestOCI(t *testing.T) *OCIRuntime {
	t.Helper()
	e, err := New(Options{Log: slog.New(slog.DiscardHandler), Notice: func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := e.OCIRuntime(filepath.Join(t.TempDir(), "oci"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestDefaultOCIRoot(t *testing.T) {
	for _, tt := range []struct {
		runDir   string
		ordinary bool
		want     string
	}{
		{"/run/user/7", true, "/run/user/7/vpod-oci"},
		{"/run/user/7", false, "/run/vpod-oci"},
		{"", false, "/run/vpod-oci"},
	} {
		if got := defaultOCIRoot(tt.runDir, tt.ordinary); got != tt.want {
			t.Errorf("defaultOCIRoot(%q, %v) = %s, want %s", tt.runDir, tt.ordinary, got, tt.want)
		}
	}
}

func TestOCIIDs(t *testing.T) {
	for id, good := range map[string]bool{
		"a": true, "buildah-buildah123": true, "x_y+z.1": true, strings.Repeat("a", 200): true,
		"": false, ".": false, "..": false, "a/b": false, "../x": false, "a b": false, strings.Repeat("a", 201): false,
	} {
		if err := checkOCIID(id); (err == nil) != good {
			t.Errorf("checkOCIID(%q) = %v", id, err)
		}
	}
}

func TestOCIStates(t *testing.T) {
	r := newTestOCI(t)
	ctx := context.Background()
	if _, err := r.State(ctx, "none"); !errors.Is(err, ErrNoOCIContainer) {
		t.Errorf("state of none: %v", err)
	}
	if list, err := r.List(ctx); err != nil || len(list) != 0 {
		t.Errorf("list of none: %v, %v", list, err)
	}
	dir := r.dir("one")
	if err := errors.Join(dir.files().Make(), os.Mkdir(dir.tree(), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pid  int
		want specs.ContainerState
	}{{0, specs.StateCreating}, {1 << 30, specs.StateStopped}} {
		if err := r.save(ociRecord{ID: "one", Bundle: "/nowhere", PID: tt.pid}); err != nil {
			t.Fatal(err)
		}
		s, err := r.State(ctx, "one")
		if err != nil || s.Status != tt.want || s.Pid != 0 {
			t.Errorf("pid %d: status %s, pid %d, %v; want %s", tt.pid, s.Status, s.Pid, err, tt.want)
		}
	}
	if err := r.Start(ctx, "one"); err == nil {
		t.Error("one that has ended was started")
	}
	if err := r.Kill(ctx, "one", 9); err == nil || !strings.Contains(err.Error(), "not running") {
		t.Errorf("kill of one that has ended: %v", err)
	}
	if err := r.Delete(ctx, "one", false); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
	if err := r.Delete(ctx, "one", false); !errors.Is(err, ErrNoOCIContainer) {
		t.Errorf("delete twice: %v", err)
	}
	if err := r.Delete(ctx, "one", true); err != nil {
		t.Errorf("delete twice by force: %v", err)
	}
}

// What lies below the tree is the bundle's: a removal never follows it.
func TestOCIRemoveLeavesTheTree(t *testing.T) {
	r := newTestOCI(t)
	dir := r.dir("one")
	file := filepath.Join(dir.tree(), "precious")
	if err := errors.Join(dir.files().Make(), os.Mkdir(dir.tree(), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := r.remove("one"); err == nil {
		t.Error("a tree that is not empty was removed")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestOCICreateRefuses(t *testing.T) {
	r := newTestOCI(t)
	bundleDir := t.TempDir()
	write := func(terminal bool) {
		b, err := json.Marshal(specs.Spec{
			Version: "1.0.2", Root: &specs.Root{Path: "."},
			Process: &specs.Process{Args: []string{"x"}, Cwd: "/", Terminal: terminal},
			Linux:   &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "ipc"}}},
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(bundleDir, "config.json"), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(true)
	err := r.Create(context.Background(), "one", OCICreateOptions{Bundle: bundleDir})
	if err == nil || !strings.Contains(err.Error(), "--console-socket") {
		t.Errorf("a terminal without a socket: %v", err)
	}
	write(false)
	err = r.Create(context.Background(), "one", OCICreateOptions{Bundle: bundleDir, ConsoleSocket: "/x"})
	if err == nil || !strings.Contains(err.Error(), "no terminal") {
		t.Errorf("a socket without a terminal: %v", err)
	}
	if _, err := os.Stat(r.root); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was made")
	}
}
