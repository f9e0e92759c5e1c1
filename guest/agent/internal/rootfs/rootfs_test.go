package rootfs

import (
	"os"
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
		{"directory of a share", agentproto.Rootfs{Share: "a", ShareKind: "9p", ShareDir: "b"}, true},
		{"directory of a disk", agentproto.Rootfs{LowerDisk: "a", ReadOnly: true, ShareDir: "b"}, false},
		{"directory above", agentproto.Rootfs{Share: "a", ShareKind: "9p", ShareDir: ".."}, false},
		{"directory below", agentproto.Rootfs{Share: "a", ShareKind: "9p", ShareDir: "b/c"}, false},
		{"unknown share", agentproto.Rootfs{Share: "a", ShareKind: "nfs"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := check(tt.fs); (err == nil) != tt.ok {
				t.Errorf("check(%+v) = %v, want ok: %t", tt.fs, err, tt.ok)
			}
		})
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
