package mounts

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
)

func TestMakeVolumes(t *testing.T) {
	outside := t.TempDir()
	dir := t.TempDir()
	for _, name := range []string{"have", "real", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"link": "/real", "dangling": "nowhere/x", "escape": "../../../../../../../.." + outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := &specs.Spec{Mounts: []specs.Mount{
		{Destination: "/run", Type: "tmpfs", Source: "tmpfs"},
		{Destination: "/new/tmp", Type: "tmpfs", Source: "tmpfs"},
	}}
	type owner struct {
		uid, gid uint32
		mode     os.FileMode
	}
	err := inNewRoot(t, dir, Plan{OCI: spec}, func([]spawn.Mount) {
		volumes := []string{"/new/deep/er", "/new", "/have", "/link/x", "/dangling", "/escape/y", "/run/app", "/", "/new/tmp"}
		if err := MakeVolumes(volumes, 1000, 2000, true); err != nil {
			t.Fatal(err)
		}
		if err := setAttr("/", unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]owner{
			"/new":         {0, 0, 0o755}, // the mount on /new/tmp made it
			"/new/deep":    {0, 0, 0o755},
			"/new/deep/er": {1000, 2000, 0o755},
			"/have":        {0, 0, 0o700},
			"/real/x":      {1000, 2000, 0o755},
			"/nowhere/x":   {1000, 2000, 0o755},
			"/run/app":     {1000, 2000, 0o755},
			outside + "/y": {1000, 2000, 0o755},
		} {
			var st unix.Stat_t
			err := unix.Stat(path, &st)
			if got := (owner{st.Uid, st.Gid, os.FileMode(st.Mode & 0o7777)}); err != nil || got != want {
				t.Errorf("%s: %+v, %v; want %+v", path, got, err, want)
			}
		}
		for path, want := range map[string]error{
			"/x": unix.EROFS, "/real/y": unix.EROFS, "/new/x": nil, "/new/deep/er/x": nil, "/have/x": nil, "/real/x/x": nil, "/new/tmp/x": nil, "/run/app/x": nil,
		} {
			if err := os.WriteFile(path, nil, 0o600); !errors.Is(err, want) {
				t.Errorf("write %s: %v; want %v", path, err, want)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	// What looked like a way out led into the root.
	if _, err := os.Stat(filepath.Join(outside, "y")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a volume was made outside: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, outside, "y")); err != nil {
		t.Errorf("no volume within the root: %v", err)
	}
}

func TestMakeVolumesRefuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	var many []string
	for n := range maxVolumes + 1 {
		many = append(many, filepath.Join(dir, strconv.Itoa(n)))
	}
	for _, tt := range []struct {
		name    string
		volumes []string
	}{
		{"relative", []string{"data"}},
		{"empty", []string{""}},
		{"with a zero", []string{dir + "/a\x00b"}},
		{"a file", []string{dir + "/file"}},
		{"below a file", []string{dir + "/file/x"}},
		{"a loop of links", []string{dir + "/loop/x"}},
		{"too many", many},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := MakeVolumes(tt.volumes, 0, 0, false); err == nil {
				t.Errorf("MakeVolumes(%q) succeeds", tt.volumes[0])
			}
		})
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}
