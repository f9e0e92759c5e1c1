package bundle

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentproto"
)

// config returns a configuration as Podman makes them.
func config() *specs.Spec {
	return &specs.Spec{
		Version: "1.0.2", Hostname: "h", Root: &specs.Root{Path: "rootfs"},
		Process: &specs.Process{Args: []string{"sh"}, Cwd: "/", Env: []string{"PATH=/bin"}},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs"},
			{Destination: "/dev/shm", Type: "bind", Source: "/var/shm", Options: []string{"bind", "nosuid"}},
			{Destination: "/etc/hosts", Type: "bind", Source: "/run/hosts", Options: []string{"rbind", "ro"}},
		},
		Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{
			{Type: "pid"}, {Type: "ipc"}, {Type: "network", Path: "/run/netns/x"}, {Type: "mount"}, {Type: "uts"},
		}},
	}
}

func TestTranslate(t *testing.T) {
	c := config()
	c.Linux.Seccomp = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	limit := int64(1 << 30)
	c.Linux.Resources = &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit}}
	p, err := Translate(c)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Network{Path: "/run/netns/x"}); p.Network != want {
		t.Errorf("network %+v, want %+v", p.Network, want)
	}
	if want := []Bind{{Source: "/run/hosts", Destination: "/etc/hosts", Recursive: true, ReadOnly: true}}; !reflect.DeepEqual(p.Binds, want) {
		t.Errorf("binds %+v, want %+v", p.Binds, want)
	}
	var kinds []string
	for _, m := range p.Guest.OCI.Mounts {
		kinds = append(kinds, m.Destination+"="+m.Type)
	}
	if got, want := strings.Join(kinds, " "), "/proc=proc /dev=tmpfs /dev/shm=tmpfs"; got != want {
		t.Errorf("the guest mounts %s, want %s", got, want)
	}
	if p.MemoryBytes != limit+headroom {
		t.Errorf("machine of %d bytes, want %d", p.MemoryBytes, limit+headroom)
	}
	if p.Profile == nil || p.Guest.OCI.Linux.Seccomp != nil {
		t.Error("the seccomp profile is not the host's to compile")
	}
	if c.Linux.Seccomp == nil || len(c.Mounts) != 4 {
		t.Error("Translate changed the configuration")
	}
	for _, n := range p.Guest.OCI.Linux.Namespaces {
		if n.Type == specs.NetworkNamespace {
			t.Error("the guest is told of the host's network namespace")
		}
	}
}

func TestResolvConf(t *testing.T) {
	c := config()
	for _, source := range []string{"", "/run/one", "/run/two"} {
		if source != "" {
			c.Mounts = append(c.Mounts, specs.Mount{Destination: "/etc//resolv.conf", Type: "bind", Source: source})
		}
		p, err := Translate(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.ResolvConf(); got != source {
			t.Errorf("ResolvConf() = %q, want %q", got, source)
		}
	}
}

func TestTranslateRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*specs.Spec)
		want   string
	}{
		{"another's pids", func(c *specs.Spec) { c.Linux.Namespaces[0].Path = "/proc/1/ns/pid" }, "no namespace to join"},
		{"the host's pids", func(c *specs.Spec) { c.Linux.Namespaces = c.Linux.Namespaces[1:] }, "no pid namespace"},
		{"twice", func(c *specs.Spec) { c.Linux.Namespaces[1].Type = "pid" }, "named twice"},
		{"mapped ids", func(c *specs.Spec) {
			c.Linux.Namespaces[1].Type = "user"
			c.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}}
		}, "user namespace"},
		{"a device", func(c *specs.Spec) {
			c.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/sda", Type: "b", Major: 8}}
		}, "/dev/sda"},
		{"a file system", func(c *specs.Spec) { c.Mounts[0].Type = "nfs" }, `type "nfs"`},
		{"an overlay that is hidden", func(c *specs.Spec) {
			c.Mounts[3] = specs.Mount{Destination: "/dev/x", Type: "overlay", Options: []string{"lowerdir=/a"}}
		}, "below a file system of the guest"},
		{"an overlay's option", func(c *specs.Spec) {
			c.Mounts[3] = specs.Mount{Destination: "/x", Type: "overlay", Options: []string{"lowerdir=/a", "what"}}
		}, `no option "what"`},
		{"an id-mapped mount", func(c *specs.Spec) { c.Mounts[3].Options = []string{"bind", "idmap"} }, "mapping"},
		{"a hook inside", func(c *specs.Spec) { c.Hooks = &specs.Hooks{StartContainer: []specs.Hook{{Path: "/x"}}} }, "startContainer"},
		{"memory that is no number", func(c *specs.Spec) { c.Annotations = map[string]string{AnnotationMemory: "much"} }, "number of bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config()
			tt.change(c)
			if _, err := Translate(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

func TestHiddenBinds(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	if err := os.WriteFile(file, []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Mounts = append(c.Mounts,
		specs.Mount{Destination: "/dev/d", Type: "bind", Source: dir, Options: []string{"bind", "ro", "noexec"}},
		specs.Mount{Destination: "/dev/f", Type: "bind", Source: file, Options: []string{"bind"}},
		specs.Mount{Destination: "/dev/null", Type: "bind", Source: "/dev/null", Options: []string{"bind"}})
	p, err := Translate(c)
	if err != nil {
		t.Fatal(err)
	}
	shares, err := p.Reveal()
	if err != nil {
		t.Fatal(err)
	}
	if len(shares) != 1 || shares[0].Source != dir {
		t.Errorf("shares %+v, want the directory", shares)
	}
	if f := p.Guest.Files; len(f) != 1 || f[0].Path != "/dev/f" || string(f[0].Data) != "x" || f[0].Mode != 0o640 || len(f[0].Options) != 0 {
		t.Errorf("files %+v, want a copy", f)
	}
	for _, m := range p.Guest.OCI.Mounts {
		if m.Destination == "/dev/d" && !(slices.Contains(m.Options, "ro") && slices.Contains(m.Options, "noexec")) {
			t.Errorf("the share's mount has options %q", m.Options)
		}
	}
}

func TestSeparateBinds(t *testing.T) {
	bind := func(path string, options ...string) specs.Mount {
		return specs.Mount{Destination: path, Type: "bind", Source: "/s", Options: append(options, "rbind", "rprivate")}
	}
	for _, tt := range []struct {
		name     string
		readOnly bool
		mounts   []specs.Mount
		want     []agentproto.Bind
	}{
		{"no attributes", false, []specs.Mount{bind("/a"), bind("/b", "ro"), bind("/c", "rw", "z")}, nil},
		{"what comes after may lie within", false, []specs.Mount{bind("/a"), bind("/b", "nosuid", "nodev", "ro"), bind("/b/c", "rw")},
			[]agentproto.Bind{{Path: "/b", Options: []string{"nosuid", "nodev", "ro"}}, {Path: "/b/c"}}},
		{"a read-only root", true, []specs.Mount{bind("/a"), bind("/b", "ro")},
			[]agentproto.Bind{{Path: "/a"}, {Path: "/b", Options: []string{"ro"}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config()
			c.Root.Readonly, c.Mounts = tt.readOnly, tt.mounts
			p, err := Translate(c)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Guest.Rootfs.Binds; !reflect.DeepEqual(got, tt.want) {
				t.Errorf("binds %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(v any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, configFile), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a configuration: %v", err)
	}
	write(config())
	if _, err := Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a root: %v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.Rootfs != filepath.Join(dir, "rootfs") {
		t.Errorf("root %s", b.Rootfs)
	}
	c := config()
	c.Mounts[3].Source = "hosts"
	write(c)
	if b, err = Read(dir); err != nil || b.Config.Mounts[3].Source != filepath.Join(dir, "hosts") {
		t.Errorf("a source relative to the bundle: %v, %v", b, err)
	}
	for name, change := range map[string]func(*specs.Spec){
		"source":     func(c *specs.Spec) { c.Mounts[3].Source = "" },
		"ociVersion": func(c *specs.Spec) { c.Version = "2.0.0" },
		"root.path":  func(c *specs.Spec) { c.Root = nil },
		"process":    func(c *specs.Spec) { c.Process = nil },
		"args":       func(c *specs.Spec) { c.Process.Args = nil },
		"cwd":        func(c *specs.Spec) { c.Process.Cwd = "x" },
		"absolute":   func(c *specs.Spec) { c.Mounts[0].Destination = "x" },
	} {
		c := config()
		change(c)
		write(c)
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A configuration is somebody else's: whatever it holds, the answer is a plan or
// an error.
func FuzzTranslate(f *testing.F) {
	b, err := json.Marshal(config())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"ociVersion":"1.0.0","root":{"path":"x"},"process":{"args":["a"],"cwd":"/"},"mounts":[{"destination":"/","type":"bind"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c specs.Spec
		if json.Unmarshal(b, &c) != nil || check(&c) != nil {
			return
		}
		p, err := Translate(&c)
		if err == nil && p.Guest.OCI.Root != nil {
			t.Error("the host's root reached the guest")
		}
	})
}
