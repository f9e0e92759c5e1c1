package engine

import (
	"fmt"
	"runtime"

	"vpod/pkg/container"
	"vpod/pkg/seccomp"
)

// seccompFilter compiles the filter of a container's processes; nil is unconfined.
func seccompFilter(spec container.Spec) ([]byte, error) {
	p := spec.Process
	if p.Seccomp == "unconfined" {
		return nil, nil
	}
	if p.SeccompProfile == nil {
		filter, err := seccomp.Default(p.Capabilities)
		if err != nil {
			return nil, fmt.Errorf("compile the default seccomp profile: %w", err)
		}
		return filter, nil
	}
	profile, err := seccomp.Parse(p.SeccompProfile)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile %s: %w", p.Seccomp, err)
	}
	filter, err := seccomp.Compile(profile, seccomp.Target{Arch: runtime.GOARCH, Caps: p.Capabilities})
	if err != nil {
		return nil, fmt.Errorf("compile seccomp profile %s: %w", p.Seccomp, err)
	}
	return filter, nil
}
