package runner

import (
	"fmt"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/guest/agent/internal/spawn"
)

// capabilityNames are in the order of their numbers, linux/capability.h.
var capabilityNames = [spawn.LastCapability + 1]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// parseCapabilities reads the five sets. None at all is no capability.
func parseCapabilities(c *specs.LinuxCapabilities) (spawn.Capabilities, error) {
	var out spawn.Capabilities
	if c == nil {
		return out, nil
	}
	for _, set := range []struct {
		names []string
		bits  *uint64
	}{
		{c.Bounding, &out.Bounding}, {c.Effective, &out.Effective}, {c.Permitted, &out.Permitted},
		{c.Inheritable, &out.Inheritable}, {c.Ambient, &out.Ambient},
	} {
		for _, name := range set.names {
			n := capabilityNumber(name)
			if n < 0 {
				return out, fmt.Errorf("unknown capability %q", name)
			}
			*set.bits |= 1 << n
		}
	}
	// The kernel refuses an ambient capability that is not permitted and
	// inheritable; OCI's runtimes leave it out.
	out.Ambient &= out.Permitted & out.Inheritable
	return out, nil
}

func capabilityNumber(name string) int {
	short, ok := strings.CutPrefix(name, "CAP_")
	if !ok {
		return -1
	}
	for i, n := range capabilityNames {
		if n == short {
			return i
		}
	}
	return -1
}
