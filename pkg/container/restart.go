package container

import (
	"fmt"
	"strconv"
	"strings"
)

// RestartPolicy says whether the monitor starts the machine again after the
// container's first process has ended. The zero value never does.
type RestartPolicy struct {
	Name       string `json:"name,omitempty"`       // "", "no", "always", "on-failure" or "unless-stopped"
	MaxRetries uint   `json:"maxRetries,omitempty"` // of on-failure; 0 is no bound
}

// ParseRestartPolicy reads the value of --restart.
func ParseRestartPolicy(s string) (RestartPolicy, error) {
	name, count, counted := strings.Cut(s, ":")
	switch name {
	case "", "no", "never", "always", "unless-stopped":
		if counted {
			return RestartPolicy{}, fmt.Errorf("restart policy %q takes no retry count; only on-failure does, as on-failure:3", s)
		}
		if name == "" || name == "never" {
			name = "no"
		}
		return RestartPolicy{Name: name}, nil
	case "on-failure":
		if !counted {
			return RestartPolicy{Name: name}, nil
		}
		n, err := strconv.ParseUint(count, 10, 31)
		if err != nil {
			return RestartPolicy{}, fmt.Errorf("restart policy %q: the retry count must be a whole number of 0 or more", s)
		}
		return RestartPolicy{Name: name, MaxRetries: uint(n)}, nil
	}
	return RestartPolicy{}, fmt.Errorf("unknown restart policy %q: use no, always, on-failure[:N] or unless-stopped", s)
}

// Wants reports whether a container that ended with exitCode, after restarts
// earlier restarts, is to be started again. A container the user stopped never
// is; the caller checks that.
func (p RestartPolicy) Wants(exitCode, restarts int) bool {
	switch p.Name {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return exitCode != 0 && (p.MaxRetries == 0 || uint(restarts) < p.MaxRetries)
	}
	return false
}
