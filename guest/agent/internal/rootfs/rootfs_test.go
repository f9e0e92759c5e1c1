package rootfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"vpod/pkg/agentproto"
)

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		fs   agentproto.Rootfs
		ok   bool
	}{
		{"disks", agentproto.Rootfs{LowerDisk: "a", ScratchDisk: "b"}, true},
		{"read-only disk", agentproto.Rootfs{LowerDisk: "a", ReadOnly: true}, true},
		{"share", agentproto.Rootfs{Share: "a", ShareKind: "9p"}, true},
		{"nothing", agentproto.Rootfs{}, false},
		{"no scratch disk", agentproto.Rootfs{LowerDisk: "a"}, false},
		{"both", agentproto.Rootfs{Share: "a", ShareKind: "9p", LowerDisk: "b"}, false},
		{"unknown share", agentproto.Rootfs{Share: "a", ShareKind: "nfs"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := check(tt.fs); (err == nil) != tt.ok {
				t.Errorf("check(%+v) = %v, want ok: %t", tt.fs, err, tt.ok)
			}
		})
	}
}

func TestParseSuper(t *testing.T) {
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		if mkfs, err = exec.LookPath("/usr/sbin/mkfs.ext4"); err != nil {
			t.Skip("needs mkfs.ext4 of e2fsprogs")
		}
	}
	image := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command(mkfs, "-q", "-b", "4096", image, "64M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	blocks, size, err := parseSuper(b[superOffset : superOffset+superSize])
	if err != nil || blocks != 64<<20/4096 || size != 4096 {
		t.Errorf("parseSuper = %d blocks of %d, %v", blocks, size, err)
	}
	if _, _, err := parseSuper(make([]byte, superSize)); err == nil {
		t.Error("parseSuper took zeros for a file system")
	}
}

func TestForgetVolatile(t *testing.T) {
	work := t.TempDir()
	mark := filepath.Join(work, "work/incompat/volatile")
	if err := os.MkdirAll(mark, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mark, "dirty"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	forgetVolatile(work)
	forgetVolatile(work)
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("the mark is still there: %v", err)
	}
}

func FuzzParseSuper(f *testing.F) {
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _ = parseSuper(append(b, make([]byte, superSize)...))
	})
}
