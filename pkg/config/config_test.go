package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Load goes through the library's process-wide cache, so the file is read once
// and all of it is checked in one test.
func TestLoad(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "containers.conf")
	text := `[containers]
default_capabilities = ["CHOWN", "KILL"]
pids_limit = 77
shm_size = "32m"
log_driver = "journald"
umask = "0027"
[engine]
detach_keys = "ctrl-a"
stop_timeout = 3
`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERS_CONF", conf)
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"CAP_CHOWN", "CAP_KILL"}; !slices.Equal(c.Capabilities, want) {
		t.Errorf("Capabilities = %q, want %q", c.Capabilities, want)
	}
	if c.PidsLimit != 77 || c.ShmBytes != 32<<20 || c.Umask != "0027" {
		t.Errorf("limits = %d, %d, %q", c.PidsLimit, c.ShmBytes, c.Umask)
	}
	if c.DetachKeys != "ctrl-a" || c.StopTimeoutSeconds != 3 {
		t.Errorf("engine = %q, %d", c.DetachKeys, c.StopTimeoutSeconds)
	}
	if c.LogDriver != "k8s-file" {
		t.Errorf("LogDriver = %q, want k8s-file in place of journald", c.LogDriver)
	}
}
