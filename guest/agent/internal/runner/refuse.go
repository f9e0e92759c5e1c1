package runner

import (
	"errors"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// refuse reports what a configuration asks for that cannot be given: nothing is
// left out in silence. docs/design/oci-config.md goes through every field.
func refuse(s *specs.Spec) error {
	if h := s.Hooks; h != nil {
		//nolint:staticcheck // the deprecated one is refused like the others
		if len(h.Prestart)+len(h.CreateRuntime)+len(h.CreateContainer)+len(h.StartContainer)+len(h.Poststart)+len(h.Poststop) > 0 {
			return errors.New("hooks are not run: there is no host namespace in the machine for them")
		}
	}
	if s.Solaris != nil || s.Windows != nil || s.ZOS != nil || s.FreeBSD != nil {
		return errors.New("the configuration is for another operating system than Linux")
	}
	l := s.Linux
	if l == nil {
		return nil
	}
	switch {
	case len(l.UIDMappings)+len(l.GIDMappings) > 0:
		return errors.New("user namespaces are not made: the machine is the container's own")
	case len(l.TimeOffsets) > 0:
		return errors.New("time namespaces are not made: the machine has its own clocks")
	case len(l.NetDevices) > 0:
		return errors.New("network devices are given by Machine.NICs, not by the configuration")
	case l.Seccomp != nil:
		return errors.New("seccomp profiles are compiled by the host: Process.Seccomp holds the filter")
	case l.MountLabel != "":
		return fmt.Errorf("SELinux mount label %q: the guest kernel has no SELinux", l.MountLabel)
	case l.IntelRdt != nil:
		return errors.New("Intel RDT does not exist in a machine")
	}
	return nil
}
