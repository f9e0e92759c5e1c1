package seccomp

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SECCOMP_RET_* of linux/include/uapi/linux/seccomp.h. The low 16 bits carry
// the errno or the tracer's message.
const (
	retKillProcess = 0x80000000
	retKillThread  = 0x00000000
	retTrap        = 0x00030000
	retErrno       = 0x00050000
	retTrace       = 0x7ff00000
	retLog         = 0x7ffc0000
	retAllow       = 0x7fff0000
	retActionMask  = 0xffff0000
)

// maxErrno is MAX_ERRNO of linux/include/linux/err.h; the kernel lowers larger
// values to it.
const maxErrno = 4095

// resolver checks the parts of a profile and turns them into kernel values.
type resolver struct {
	errnos map[string]uint // by name, made when first needed
}

// action returns the kernel value of an action with its errno, if any.
func (r *resolver) action(at string, a Action, name string, number *uint) (uint32, error) {
	withData := a == ActErrno || a == ActTrace
	if !withData && (name != "" || number != nil) {
		return 0, &ProfileError{
			At: at, Problem: fmt.Sprintf("has an errno, which %s does not use", a),
			Hint: "remove the errno or use SCMP_ACT_ERRNO",
		}
	}
	switch a {
	case ActKill, ActKillThread:
		return retKillThread, nil
	case ActKillProcess:
		return retKillProcess, nil
	case ActTrap:
		return retTrap, nil
	case ActAllow:
		return retAllow, nil
	case ActLog:
		return retLog, nil
	case ActErrno:
		e, err := r.errno(at, name, number, maxErrno)
		return retErrno | uint32(e), err
	case ActTrace:
		e, err := r.errno(at, name, number, 0xffff)
		return retTrace | uint32(e), err
	case ActNotify:
		return 0, &ProfileError{
			At: at, Problem: "SCMP_ACT_NOTIFY is not supported",
			Hint: "its listener is a process of the host, out of reach of the virtual machine's kernel; " +
				"use SCMP_ACT_ERRNO, or SCMP_ACT_ALLOW since the machine confines the container",
		}
	}
	return 0, &ProfileError{
		At: at, Problem: fmt.Sprintf("unknown action %q", a),
		Hint: "use SCMP_ACT_ALLOW, ERRNO, KILL, KILL_THREAD, KILL_PROCESS, TRAP, TRACE or LOG, with the prefix SCMP_ACT_",
	}
}

// errno returns the value of an errno given by name or number, EPERM if by
// neither.
func (r *resolver) errno(at, name string, number *uint, limit uint) (uint, error) {
	value := uint(unix.EPERM)
	if number != nil {
		value = *number
	}
	if name != "" {
		n, err := strconv.ParseUint(name, 10, 32)
		value = uint(n)
		if err != nil {
			var ok bool
			if value, ok = r.errnoNamed(name); !ok {
				return 0, &ProfileError{
					At: at, Problem: fmt.Sprintf("unknown errno %q", name),
					Hint: "use a name such as EPERM, or a number",
				}
			}
		}
	}
	if value > limit {
		return 0, &ProfileError{
			At: at, Problem: fmt.Sprintf("errno %d is too large", value),
			Hint: fmt.Sprintf("use 0 to %d", limit),
		}
	}
	return value, nil
}

// errnoNamed knows the names of the host, which for amd64 and arm64 are those
// of linux/include/uapi/asm-generic/errno.h.
func (r *resolver) errnoNamed(name string) (uint, bool) {
	if r.errnos == nil {
		r.errnos = map[string]uint{
			"EWOULDBLOCK": uint(unix.EWOULDBLOCK),
			"EDEADLOCK":   uint(unix.EDEADLOCK),
			"ENOTSUP":     uint(unix.ENOTSUP),
		}
		for e := unix.EPERM; e <= unix.EHWPOISON; e++ {
			if n := unix.ErrnoName(e); n != "" {
				r.errnos[n] = uint(e)
			}
		}
	}
	e, ok := r.errnos[strings.ToUpper(name)]
	return e, ok
}
