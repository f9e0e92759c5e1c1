package seccomp

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// FilterFlags returns the flags argument of seccomp(2) for the profile's
// flags. Without any in the profile it is SECCOMP_FILTER_FLAG_SPEC_ALLOW, as
// in crun. Who installs the filter must fall back to 0 when the kernel answers
// EINVAL. The error is a *ProfileError.
func (p *Profile) FilterFlags() (uint32, error) {
	if len(p.Flags) == 0 {
		return unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, nil
	}
	var flags uint32
	for i, name := range p.Flags {
		switch name {
		case "SECCOMP_FILTER_FLAG_TSYNC":
			flags |= unix.SECCOMP_FILTER_FLAG_TSYNC
		case "SECCOMP_FILTER_FLAG_LOG":
			flags |= unix.SECCOMP_FILTER_FLAG_LOG
		case "SECCOMP_FILTER_FLAG_SPEC_ALLOW":
			flags |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		default:
			// WAIT_KILLABLE_RECV is only valid with a listener.
			return 0, &ProfileError{
				At: fmt.Sprintf("flags[%d]", i), Problem: fmt.Sprintf("flag %q is not supported", name),
				Hint: "use SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_LOG or SECCOMP_FILTER_FLAG_SPEC_ALLOW",
			}
		}
	}
	return flags, nil
}
