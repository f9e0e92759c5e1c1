package mounts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := func(target, name string) {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	link("d", "relative")
	link(dir+"/d", "absolute")
	link("nowhere/x", "dangling")
	link("../../../../../../../../../../etc", "d/up")
	link("b", "a")
	link("a", "b")
	for _, tt := range []struct{ name, in, want string }{
		{"plain", dir + "/d", dir + "/d"},
		{"missing", dir + "/d/x/y", dir + "/d/x/y"},
		{"relative link", dir + "/relative/x", dir + "/d/x"},
		{"absolute link", dir + "/absolute/x", dir + "/d/x"},
		{"dangling link", dir + "/dangling/y", dir + "/nowhere/x/y"},
		{"beyond the root", dir + "/d/up/x", "/etc/x"},
		{"dots", dir + "/d/../relative/.", dir + "/d"},
		{"loop", dir + "/a", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := resolve(tt.in)
			if (err != nil) != (tt.want == "") || got != tt.want {
				t.Errorf("resolve(%q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
		})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("/a/../b")
	f.Fuzz(func(t *testing.T, p string) {
		if got, err := resolve(p); err == nil && (!filepath.IsAbs(got) || filepath.Clean(got) != got) {
			t.Errorf("resolve(%q) = %q, which is not a clean path", p, got)
		}
	})
}

func TestSysctlFile(t *testing.T) {
	for _, tt := range []struct{ name, key, want string }{
		{"dots", "net.ipv4.ip_forward", "sys/net/ipv4/ip_forward"},
		{"slashes keep dots", "net/ipv4/conf/eth0.1/forwarding", "sys/net/ipv4/conf/eth0.1/forwarding"},
		{"empty", "", ""},
		{"upwards", "net/../../x", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := sysctlFile(tt.key)
			if (err != nil) != (tt.want == "") || got != tt.want {
				t.Errorf("sysctlFile(%q) = %q, %v; want %q", tt.key, got, err, tt.want)
			}
		})
	}
}

func TestPrivileged(t *testing.T) {
	one := int64(1)
	for _, tt := range []struct {
		name  string
		rules []specs.LinuxDeviceCgroup
		want  bool
	}{
		{"none", nil, false},
		{"Podman's default", []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}, false},
		{"Podman's privileged", []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}, true},
		{"one device", []specs.LinuxDeviceCgroup{{Allow: true, Type: "c", Major: &one, Access: "rwm"}}, false},
		{"the last word counts", []specs.LinuxDeviceCgroup{{Allow: true, Type: "a"}, {Allow: false, Type: "a"}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Privileged(tt.rules); got != tt.want {
				t.Errorf("Privileged = %t, want %t", got, tt.want)
			}
		})
	}
}

// TestCopyUp copies a tree with everything that can be in one.
func TestCopyUp(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: changes owners and makes devices")
	}
	from, to := t.TempDir(), t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(from, name) }
	must(os.MkdirAll(in("dir/below"), 0o755))
	must(os.WriteFile(in("dir/file"), []byte(strings.Repeat("data", 10_000)), 0o600))
	must(os.Chown(in("dir/file"), 12, 34))
	must(os.Chmod(in("dir/file"), 0o640|os.ModeSetuid))
	must(os.Symlink("nowhere", in("link")))
	must(unix.Mkfifo(in("fifo"), 0o622))
	must(os.Chown(in("dir"), 56, 78))
	must(os.Chmod(in("dir"), 0o711))
	xattrs := unix.Setxattr(in("dir/file"), "trusted.test", []byte("value"), 0) == nil
	f, err := os.Open(from)
	must(err)
	defer func() { _ = f.Close() }()
	must(copyUp(f, to))
	for _, name := range []string{"dir", "dir/below", "dir/file", "link", "fifo"} {
		var a, b unix.Stat_t
		must(unix.Lstat(in(name), &a))
		if err := unix.Lstat(filepath.Join(to, name), &b); err != nil {
			t.Error(err)
			continue
		}
		if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || a.Size != b.Size && name == "dir/file" {
			t.Errorf("%s became %o %d:%d %d bytes, was %o %d:%d %d", name, b.Mode, b.Uid, b.Gid, b.Size, a.Mode, a.Uid, a.Gid, a.Size)
		}
		if a.Mtim != b.Mtim && name == "dir/file" {
			t.Errorf("%s: time became %v, was %v", name, b.Mtim, a.Mtim)
		}
	}
	buf := make([]byte, 64)
	if n, err := unix.Getxattr(filepath.Join(to, "dir/file"), "trusted.test", buf); xattrs && (err != nil || string(buf[:n]) != "value") {
		t.Errorf("extended attribute = %q, %v", buf[:max(n, 0)], err)
	}
}
