package engine

import (
	"os"
	"path/filepath"
	"testing"
)

// A reboot forgets what may have changed, and a counter measured a little differently
// is still the same one.
func TestHostCacheAfterReboot(t *testing.T) {
	for _, tt := range []struct {
		name                    string
		before, measured, wants int64
	}{
		{"first boot ever", 0, 2_500_000, 2_500_000},
		{"as before", 2_500_000, 2_500_000, 2_500_000},
		{"a little more", 2_500_000, 2_500_125, 2_500_000},
		{"a little less", 2_500_000, 2_499_875, 2_500_000},
		{"too much more", 2_500_000, 2_500_126, 2_500_126},
		{"too much less", 2_500_000, 2_499_874, 2_499_874},
		{"another machine", 2_500_000, 3_000_000, 3_000_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			h, err := loadHostCache()
			if err != nil {
				t.Fatal(err)
			}
			yes := true
			h.BootID, h.TSCkHz, h.Protects = "an earlier boot", tt.before, &yes
			if err := h.save(); err != nil {
				t.Fatal(err)
			}
			if h, err = loadHostCache(); err != nil {
				t.Fatal(err)
			}
			if h.TSCkHz != 0 || h.Protects != nil {
				t.Fatalf("after a reboot it holds %+v", h)
			}
			h.settleTSC(tt.measured)
			if h.TSCkHz != tt.wants {
				t.Errorf("rate %d kHz, want %d", h.TSCkHz, tt.wants)
			}
		})
	}
}

// What was kept for an earlier boot survives one in which nobody measured.
func TestHostCacheTwoReboots(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	if err := os.MkdirAll(filepath.Join(dir, "vpod"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{`{"bootID":"a","tscKHz":2500000}`, `{"bootID":"b","earlierTSCKHz":2500000}`} {
		if err := os.WriteFile(filepath.Join(dir, "vpod", "host.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := loadHostCache()
		if err != nil || h.EarlierTSCkHz != 2_500_000 {
			t.Errorf("%s: %+v, %v", content, h, err)
		}
	}
}
