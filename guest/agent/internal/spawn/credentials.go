package spawn

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// seccompSetModeFilter is SECCOMP_SET_MODE_FILTER of linux/seccomp.h.
const seccompSetModeFilter = 1

// Capabilities are the five sets of a process, one bit per capability.
type Capabilities struct {
	Bounding, Effective, Permitted, Inheritable, Ambient uint64
}

// LastCapability is the highest capability this build knows, CAP_CHECKPOINT_RESTORE.
const LastCapability = unix.CAP_LAST_CAP

// addCredentials drops what the command may not have. All of these are system
// calls of the child alone: the agent's threads keep their rights.
func (p *program) addCredentials(c *Command) {
	caps := c.Capabilities
	for i := uintptr(0); i <= LastCapability; i++ {
		if caps.Bounding&(1<<i) == 0 {
			p.calls = append(p.calls, call{step: StepCapabilities, kind: ifKnown, nr: unix.SYS_PRCTL,
				args: [6]uintptr{unix.PR_CAPBSET_DROP, i}})
		}
	}
	p.add(StepCredentials, unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1)
	var groups uintptr
	if len(c.Groups) > 0 {
		groups = pointer(p, &c.Groups[0])
	}
	p.add(StepCredentials, unix.SYS_SETGROUPS, uintptr(len(c.Groups)), groups)
	p.add(StepCredentials, unix.SYS_SETRESGID, uintptr(c.GID), uintptr(c.GID), uintptr(c.GID))
	p.add(StepCredentials, unix.SYS_SETRESUID, uintptr(c.UID), uintptr(c.UID), uintptr(c.UID))

	// Loading a filter without no_new_privs takes CAP_SYS_ADMIN. Keeping it up
	// to execve gives the command nothing: execve computes the new sets from the
	// inheritable, bounding and ambient ones and from the file alone.
	if len(c.Seccomp) > 0 && !c.NoNewPrivileges {
		caps.Effective |= 1 << unix.CAP_SYS_ADMIN
		caps.Permitted |= 1 << unix.CAP_SYS_ADMIN
	}
	caps.Permitted |= caps.Effective
	header := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := &[2]unix.CapUserData{}
	for i := range data {
		shift := 32 * i
		data[i] = unix.CapUserData{
			Effective:   uint32(caps.Effective >> shift),
			Permitted:   uint32(caps.Permitted >> shift),
			Inheritable: uint32(caps.Inheritable >> shift),
		}
	}
	p.add(StepCapabilities, unix.SYS_CAPSET, pointer(p, header), pointer(p, data))
	for i := uintptr(0); i <= LastCapability; i++ {
		if caps.Ambient&(1<<i) != 0 {
			p.add(StepCapabilities, unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i, 0, 0)
		}
	}
}

// filterProgram wraps an array of struct sock_filter. b must stay alive.
func filterProgram(b []byte) (*unix.SockFprog, error) {
	const size = 8               // of struct sock_filter
	const maxInstructions = 4096 // BPF_MAXINSNS
	n := len(b) / size
	if len(b)%size != 0 || n > maxInstructions {
		return nil, fmt.Errorf("seccomp filter of %d bytes is not an array of at most %d instructions", len(b), maxInstructions)
	}
	filter := make([]unix.SockFilter, n)
	for i := range filter {
		f := b[i*size:]
		filter[i] = unix.SockFilter{
			Code: uint16(f[0]) | uint16(f[1])<<8,
			Jt:   f[2],
			Jf:   f[3],
			K:    uint32(f[4]) | uint32(f[5])<<8 | uint32(f[6])<<16 | uint32(f[7])<<24,
		}
	}
	return &unix.SockFprog{Len: uint16(n), Filter: &filter[0]}, nil
}
