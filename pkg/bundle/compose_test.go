package bundle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// inMountNamespace runs f on a thread in a mount namespace of its own.
func inMountNamespace(t *testing.T, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: mounts")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCompose(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"rootfs/etc", "tree", "src/sub", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "src/f"), []byte("bound"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A link of the image that would lead out.
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, "rootfs/evil")); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	inMountNamespace(t, func() error {
		err := Compose(tree, filepath.Join(dir, "rootfs"), []Bind{
			{Source: filepath.Join(dir, "src"), Destination: "/new/dir", Recursive: true, ReadOnly: true},
			{Source: filepath.Join(dir, "src/f"), Destination: "/etc/file"},
		})
		if err != nil {
			return err
		}
		if err := Compose(tree, tree, []Bind{{Source: filepath.Join(dir, "src/f"), Destination: "/evil/file"}}); err == nil {
			t.Error("a link that leads out of the root was followed")
		}
		for _, p := range []string{"new/dir/f", "etc/file"} {
			if b, err := os.ReadFile(filepath.Join(tree, p)); err != nil || string(b) != "bound" {
				t.Errorf("%s holds %q, %v", p, b, err)
			}
		}
		if err := os.WriteFile(filepath.Join(tree, "new/dir/x"), nil, 0o600); !errors.Is(err, unix.EROFS) {
			t.Errorf("write below a read-only bind: %v", err)
		}
		for command, there := range map[string]bool{"f": true, "g": false, "/etc/file": true, "/etc/none": false, "etc/file": true} {
			err := LookPath(tree, command, "/nowhere:/new/dir", "/")
			if errors.Is(err, fs.ErrNotExist) == there {
				t.Errorf("look for %s: %v", command, err)
			}
		}
		return nil
	})
	if list, err := os.ReadDir(filepath.Join(dir, "outside")); err != nil || len(list) != 0 {
		t.Errorf("a mount point was made outside the root: %v, %v", list, err)
	}
	if list, err := os.ReadDir(tree); err != nil || len(list) != 0 {
		t.Errorf("the mounts left their namespace: %v, %v", list, err)
	}
}

func TestComposeOverlay(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"rootfs", "tree", "lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "lower/f"), []byte("below"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Mounts = []specs.Mount{{Destination: "/v", Type: "overlay", Source: "overlay", Options: []string{
		"lowerdir=" + dir + "/lower", "upperdir=" + dir + "/upper", "workdir=" + dir + "/work", "private", "nodev",
	}}}
	p, err := Translate(c)
	if err != nil {
		t.Fatal(err)
	}
	if b := p.Guest.Rootfs.Binds; len(b) != 1 || b[0].Path != "/v" || len(b[0].Options) != 1 {
		t.Errorf("the guest is told of %+v", b)
	}
	tree := filepath.Join(dir, "tree")
	inMountNamespace(t, func() error {
		// The upper directory must not be on another overlay.
		if err := unix.Mount("tmpfs", filepath.Join(dir, "upper"), "tmpfs", 0, ""); err != nil {
			return err
		}
		for _, d := range []string{"upper/u", "upper/w"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
				return err
			}
		}
		p.Binds[0].Overlay = strings.NewReplacer("/upper", "/upper/u", "/work", "/upper/w").Replace(p.Binds[0].Overlay)
		if err := Compose(tree, filepath.Join(dir, "rootfs"), p.Binds); err != nil {
			return err
		}
		if b, err := os.ReadFile(filepath.Join(tree, "v/f")); err != nil || string(b) != "below" {
			t.Errorf("v/f holds %q, %v", b, err)
		}
		return os.WriteFile(filepath.Join(tree, "v/new"), nil, 0o600)
	})
	if list, err := os.ReadDir(filepath.Join(dir, "lower")); err != nil || len(list) != 1 {
		t.Errorf("the lower directory was written to: %v, %v", list, err)
	}
}

func TestRunHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := func(script string) specs.Hook {
		return specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"OUT=" + out}}
	}
	state := specs.State{ID: "c1", Status: specs.StateCreated}
	if err := RunHooks(context.Background(), "prestart", []specs.Hook{hook("cat > $OUT")}, state); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(out); !strings.Contains(string(b), `"id":"c1"`) {
		t.Errorf("the hook read %q", b)
	}
	second := 1
	slow := hook("sleep 30")
	slow.Timeout = &second
	for _, h := range []specs.Hook{hook("echo no >&2; exit 1"), slow} {
		if err := RunHooks(context.Background(), "prestart", []specs.Hook{h, hook("echo > $OUT")}, state); err == nil {
			t.Error("a failed hook is no error")
		}
	}
	if b, _ := os.ReadFile(out); len(b) < 2 {
		t.Error("a hook ran after one that failed")
	}
}
