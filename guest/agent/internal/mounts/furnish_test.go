package mounts

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
	"vpod/pkg/agentproto"
)

// inNewRoot runs inside on a thread of its own whose mount namespace has dir as its
// root, furnished by plan, and gives it what Furnish returned. The thread ends with
// it, and the namespace with the thread: nothing stays mounted.
func inNewRoot(t *testing.T, dir string, plan Plan, inside func(deferred []spawn.Mount)) error {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a mount namespace")
	}
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(proc) }()
	plan.ProcFD, plan.FilesDir = proc, filepath.Join(t.TempDir(), "files")
	result, skip := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(skip)
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			skip <- err
			return
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			skip <- err
			return
		}
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			skip <- err
			return
		}
		result <- func() error {
			f, err := Prepare(t.Context(), plan)
			if err != nil {
				return err
			}
			defer f.Close()
			if err := Enter(dir); err != nil {
				return err
			}
			unix.Umask(0)
			deferred, err := f.Furnish(func() (string, error) { return "", nil })
			if err != nil {
				return err
			}
			inside(deferred)
			return nil
		}()
	}()
	if err := <-skip; err != nil {
		t.Skipf("no mount namespace: %v", err)
	}
	return <-result
}

func TestFurnish(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"etc", "data/sub", "full"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../made/resolv.conf", filepath.Join(dir, "etc/resolv.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "full/file"), []byte("kept"), 0o640); err != nil {
		t.Fatal(err)
	}
	source := t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), []byte("bound"), 0o644); err != nil {
		t.Fatal(err)
	}
	spec := &specs.Spec{
		Mounts: []specs.Mount{
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid"}},
			{Destination: "/deep/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=64k", "mode=1777"}},
			{Destination: "/full", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}},
			{Destination: "/bound", Type: "bind", Source: source, Options: []string{"rbind", "ro"}},
			{Destination: "/one", Source: filepath.Join(source, "file"), Options: []string{"bind"}},
			{Destination: "/proc/version", Source: filepath.Join(source, "file"), Options: []string{"bind", "ro"}},
		},
		Linux: &specs.Linux{
			MaskedPaths:   []string{"/data/sub", "/nowhere", "/proc/uptime"},
			ReadonlyPaths: []string{"/data", "/proc/sys"},
			Devices:       []specs.LinuxDevice{{Path: "/dev/mine", Type: "p"}},
		},
	}
	files := []agentproto.File{{Path: "/etc/resolv.conf", Mode: 0o600, Data: []byte("nameserver 1.2.3.4\n")}}
	err := inNewRoot(t, dir, Plan{OCI: spec, Files: files, ReadOnly: true}, func(later []spawn.Mount) {
		for path, want := range map[string]string{
			"/etc/resolv.conf": "nameserver 1.2.3.4\n", "/made/resolv.conf": "nameserver 1.2.3.4\n",
			"/full/file": "kept", "/bound/file": "bound", "/one": "bound",
		} {
			if b, err := os.ReadFile(path); err != nil || string(b) != want {
				t.Errorf("%s = %q, %v; want %q", path, b, err, want)
			}
		}
		for path, want := range map[string]os.FileMode{
			"/deep/tmp": os.ModeDir | os.ModeSticky | 0o777, "/full": os.ModeDir | 0o750, "/full/file": 0o640,
			"/dev/null": os.ModeDevice | os.ModeCharDevice | 0o666, "/dev/mine": os.ModeNamedPipe | 0o666,
			"/dev/fd": os.ModeSymlink | 0o777, "/etc/resolv.conf": 0o600,
		} {
			lstat := os.Stat
			if path == "/dev/fd" {
				lstat = os.Lstat
			}
			if fi, err := lstat(path); err != nil || fi.Mode() != want {
				t.Errorf("%s: mode %v, %v; want %v", path, fi, err, want)
			}
		}
		for _, path := range []string{"/x", "/bound/x", "/data/x", "/data/sub/x"} {
			if err := os.WriteFile(path, nil, 0o644); err == nil {
				t.Errorf("%s could be written", path)
			}
		}
		if err := os.WriteFile("/deep/tmp/x", nil, 0o644); err != nil {
			t.Errorf("a tmpfs cannot be written: %v", err)
		}
		var got []string
		for _, m := range later {
			got = append(got, m.Target)
		}
		if want := []string{"/proc", "/proc/version", "/proc/sys", "/proc/sys", "/proc/uptime"}; !slices.Equal(got, want) {
			t.Errorf("left to the first process: %q, want %q", got, want)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"made/resolv.conf", "proc", "deep/tmp"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("mount point: %v", err)
		}
	}
}

// Binds of the root's own file system become mounts with the attributes asked for,
// also below a read-only root and within each other.
func TestFurnishBinds(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain", "hard/soft", "once"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("plain", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	binds := []agentproto.Bind{
		{Path: "/link"}, {Path: "/gone/below"},
		{Path: "/hard", Options: []string{"nosuid", "nodev", "rnoexec", "noatime", "ro"}},
		{Path: "/hard/soft", Options: []string{"nosuid", "suid", "rnodev", "rdev", "strictatime"}},
		{Path: "/once", Options: []string{"noatime", "rstrictatime", "noexec", "rexec"}},
	}
	files := []agentproto.File{{Path: "/copy", Mode: 0o644, Options: []string{"ro", "noexec"}}}
	err := inNewRoot(t, dir, Plan{OCI: &specs.Spec{}, Binds: binds, Files: files, ReadOnly: true}, func([]spawn.Mount) {
		const ofInterest = unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME
		for path, want := range map[string]int64{
			"/":      unix.ST_RDONLY,
			"/plain": 0, "/hard": unix.ST_RDONLY | unix.ST_NOSUID | unix.ST_NODEV | unix.ST_NOEXEC | unix.ST_NOATIME,
			"/hard/soft": 0, "/once": 0, "/copy": unix.ST_RDONLY | unix.ST_NOEXEC,
		} {
			var st unix.Statfs_t
			if err := unix.Statfs(path, &st); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			if got := st.Flags & ofInterest; got != want {
				t.Errorf("%s: flags %#x, want %#x", path, got, want)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		plan Plan
		want string
	}{
		{"relative destination", Plan{OCI: &specs.Spec{Mounts: []specs.Mount{{Destination: "x", Type: "tmpfs"}}}}, "not an absolute path"},
		{"mapped ids", Plan{OCI: &specs.Spec{Mounts: []specs.Mount{{Destination: "/x", Type: "tmpfs", UIDMappings: make([]specs.LinuxIDMapping, 1)}}}}, "user namespace"},
		{"no source", Plan{OCI: &specs.Spec{Mounts: []specs.Mount{{Destination: "/x", Source: "/nowhere/at/all", Type: "bind"}}}}, "/nowhere/at/all"},
		{"relative bind", Plan{OCI: &specs.Spec{}, Binds: []agentproto.Bind{{Path: "x"}}}, "not an absolute path"},
		{"id-mapped bind", Plan{OCI: &specs.Spec{}, Binds: []agentproto.Bind{{Path: "/x", Options: []string{"idmap"}}}}, "user namespace"},
		{"relative file", Plan{OCI: &specs.Spec{}, Files: []agentproto.File{{Path: "x"}}}, "not absolute"},
		{"too many files", Plan{OCI: &specs.Spec{}, Files: make([]agentproto.File, maxFiles+1)}, "at most"},
		{"relative mask", Plan{OCI: &specs.Spec{Linux: &specs.Linux{MaskedPaths: []string{"x"}}}}, "not absolute"},
		{"propagation", Plan{OCI: &specs.Spec{Linux: &specs.Linux{RootfsPropagation: "x"}}}, "propagation"},
		{"kernel parameter", Plan{OCI: &specs.Spec{Linux: &specs.Linux{Sysctl: map[string]string{"../x": "1"}}}}, "not a kernel parameter"},
		{"device type", Plan{OCI: &specs.Spec{Linux: &specs.Linux{Devices: []specs.LinuxDevice{{Path: "/dev/x", Type: "x"}}}}}, "unknown type"},
		{"relative device", Plan{OCI: &specs.Spec{Linux: &specs.Linux{Devices: []specs.LinuxDevice{{Path: "x", Type: "c"}}}}}, "not absolute"},
		{"device number", Plan{OCI: &specs.Spec{Linux: &specs.Linux{Devices: []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1 << 20}}}}}, "no such number"},
		{"device owner alone", Plan{OCI: &specs.Spec{Linux: &specs.Linux{Devices: []specs.LinuxDevice{{Path: "/dev/x", Type: "c", Major: 1, UID: new(uint32)}}}}}, "go together"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.plan.FilesDir = t.TempDir()
			f, err := Prepare(t.Context(), tt.plan)
			if err == nil {
				f.Close()
				t.Fatal("Prepare accepted it")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Prepare = %v, want %q", err, tt.want)
			}
		})
	}
}
