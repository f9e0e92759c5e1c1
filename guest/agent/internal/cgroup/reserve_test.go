package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReserve(t *testing.T) {
	for _, tt := range []struct {
		name, meminfo string
		want          int64 // KiB; 0 for an error
	}{
		{"128 MiB", "MemTotal:         110364 kB\nMemFree:           94000 kB\nMemAvailable:      93628 kB\n", 110364 - 93628 + 4096 + 862},
		{"8 GiB", "MemTotal:  8200000 kB\nMemAvailable: 8100000 kB\n", 100000 + 32768},
		{"hardly any", "MemTotal: 20000 kB\nMemAvailable: 4000 kB\n", 16000 + 2000},
		{"an old kernel", "MemTotal: 20000 kB\nMemFree: 4000 kB\n", 0},
		{"nonsense", "MemTotal: 20000 kB\nMemAvailable: 40000 kB\n", 0},
		{"empty", "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "meminfo")
			if err := os.WriteFile(path, []byte(tt.meminfo), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Reserve(path)
			if (err != nil) != (tt.want == 0) || got>>10 != tt.want {
				t.Errorf("Reserve = %d KiB, %v, want %d KiB", got>>10, err, tt.want)
			}
		})
	}
	if _, err := Reserve(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("Reserve without a file succeeds")
	}
}
