// Package config reads the user's containers.conf and holds vpod's own defaults.
//
// The file is the one Podman and Buildah read, so that capabilities, limits and
// detach keys agree with them. What containers.conf says of things a machine of
// its own does not have (cgroup managers, runtimes, conmon) is not looked at.
package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containers/common/pkg/config"
	"github.com/docker/go-units"
)

// Defaults that containers.conf does not know.
const (
	MemoryBytes    = 512 << 20        // of a machine; pages are only taken from the host once touched
	ScratchBytes   = 10 << 30         // of a container's scratch disk, which is sparse
	BootTimeout    = 60 * time.Second // from QEMU's start to the agent's hello; a boot is 1 s under TCG on an idle host
	StopTimeout    = 10               // seconds between the stop signal and SIGKILL
	DetachKeys     = "ctrl-p,ctrl-q"
	Board          = "q35"
	Accel          = "auto"
	LogDriver      = "k8s-file"
	defaultShmSize = 64 << 20
)

// Config are the defaults a container starts from.
type Config struct {
	Capabilities []string // as "CAP_CHOWN", sorted
	Env          []string // "KEY=value"
	PidsLimit    int64    // 0 is no limit
	ShmBytes     int64
	Ulimits      []string // as --ulimit takes them
	Sysctls      []string // "key=value"
	Umask        string   // octal
	TZ           string
	Init         bool

	DetachKeys         string
	PullPolicy         string // "missing", "always", "newer" or "never"
	StopTimeoutSeconds uint

	DNSServers, DNSSearches, DNSOptions []string
	BaseHostsFile                       string // "" is the host's /etc/hosts, "none" an empty one

	LogDriver       string
	LogMaxSizeBytes int64 // 0 is no limit
}

// Load reads containers.conf from its usual places.
func Load() (*Config, error) {
	c, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("read containers.conf: %w", err)
	}
	caps, err := c.Capabilities("", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("default capabilities in containers.conf: %w", err)
	}
	out := &Config{
		Capabilities:       caps,
		Env:                c.GetDefaultEnv(),
		PidsLimit:          max(c.PidsLimit(), 0),
		ShmBytes:           defaultShmSize,
		Ulimits:            c.Ulimits(),
		Sysctls:            c.Sysctls(),
		Umask:              c.Umask(),
		TZ:                 c.TZ(),
		Init:               c.Containers.Init,
		DetachKeys:         c.DetachKeys(),
		PullPolicy:         c.Engine.PullPolicy,
		StopTimeoutSeconds: c.Engine.StopTimeout,
		DNSServers:         c.DNSServers(),
		DNSSearches:        c.DNSSearches(),
		DNSOptions:         c.DNSOptions(),
		BaseHostsFile:      c.Containers.BaseHostsFile,
		LogDriver:          LogDriver,
		LogMaxSizeBytes:    max(c.Containers.LogSizeMax, 0),
	}
	if s := c.ShmSize(); s != "" {
		n, err := units.RAMInBytes(s)
		if err != nil {
			return nil, fmt.Errorf("shm_size in containers.conf: %w", err)
		}
		out.ShmBytes = n
	}
	// journald and passthrough belong to a host's services; the file drivers are ours.
	if d := c.LogDriver(); d == "json-file" || d == "none" {
		out.LogDriver = d
	}
	return out, nil
}

// MaskedPaths are hidden from every container that is not privileged, the
// library's list without what only the host's own hardware adds.
func MaskedPaths() []string {
	var paths []string
	for _, p := range config.DefaultMaskedPaths() {
		if !strings.HasPrefix(p, "/sys/devices/system/cpu/") {
			paths = append(paths, p)
		}
	}
	return paths
}

// ReadOnlyPaths are mounted read-only in every container that is not privileged.
func ReadOnlyPaths() []string { return slices.Clone(config.DefaultReadOnlyPaths) }
