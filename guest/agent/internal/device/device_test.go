package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tree writes files below a temporary directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDiskWithSerial(t *testing.T) {
	dir := tree(t, map[string]string{
		"vda/serial": "root", "vdb/serial": "scratch\n", "loop0/serial": "loop", "vdc/size": "0",
	})
	for _, tt := range []struct{ name, serial, want string }{
		{"bare", "root", "vda"},
		{"with a newline", "scratch", "vdb"},
		{"not a virtio disk", "loop", ""},
		{"absent", "other", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := diskWithSerial(dir, tt.serial); got.Name != tt.want {
				t.Errorf("diskWithSerial(%q) = %q, want %q", tt.serial, got.Name, tt.want)
			}
		})
	}
}

func TestHasTag(t *testing.T) {
	dir := tree(t, map[string]string{"virtio3/mount_tag": "data\x00", "virtio4/mount_tag": "database\n", "bind": ""})
	for _, tt := range []struct {
		name, tag string
		want      bool
	}{
		{"ends in a zero byte", "data", true},
		{"ends in a newline", "database", true},
		{"only a prefix", "dat", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := hasTag(dir, "mount_tag", tt.tag); got != tt.want {
				t.Errorf("hasTag(%q) = %t, want %t", tt.tag, got, tt.want)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Millisecond)
	defer cancel()
	calls := 0
	if err := (Events{}).Until(ctx, func() bool { calls++; return calls == 3 }); err != nil {
		t.Errorf("Until = %v after %d calls", err, calls)
	}
	if err := (Events{}).Until(ctx, func() bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Until that never comes = %v, want the deadline", err)
	}
	if err := FindShare(t.Context(), "nfs", "x"); err == nil {
		t.Error("FindShare accepted an unknown kind")
	}
}
