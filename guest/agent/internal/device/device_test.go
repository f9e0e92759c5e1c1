package device

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
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

func TestFindDisks(t *testing.T) {
	dir := tree(t, map[string]string{
		"vda/serial": "root", "vdc/serial": "scratch\n", "loop0/serial": "loop", "vdd/size": "0",
	})
	for _, tt := range []struct{ name, serials, want, missing string }{
		{"one", "root", "vda", ""},
		{"two, in another order", "scratch root", "vdc vda", ""},
		{"the same one twice", "root root", "vda vda", ""},
		{"not a virtio disk", "root loop", "vda ", "loop"},
		{"absent", "other", "", "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			serials := strings.Fields(tt.serials)
			disks := make([]Disk, len(serials))
			missing := findDisks(dir, serials, disks)
			var names []string
			for _, d := range disks {
				names = append(names, d.Name)
			}
			if got := strings.Join(names, " "); got != tt.want || missing != tt.missing {
				t.Errorf("findDisks(%q) = %q, missing %q; want %q, missing %q", tt.serials, got, missing, tt.want, tt.missing)
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
