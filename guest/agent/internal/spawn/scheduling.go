package spawn

import "golang.org/x/sys/unix"

// Scheduling holds what only some processes ask for; the zero value asks for nothing.
type Scheduling struct {
	Attr        *unix.SchedAttr // sched_setattr(2)
	IOPriority  *int            // ioprio_set(2): class<<13 | level
	Affinity    *unix.CPUSet
	Personality *uint32       // personality(2)
	Memory      *MemoryPolicy // set_mempolicy(2)
}

// MemoryPolicy is a NUMA policy. Nodes beyond 63 do not exist in a machine of ours.
type MemoryPolicy struct {
	Mode  int // MPOL_*, mode flags included
	Nodes uint64
}

const ioprioWhoProcess = 1 // IOPRIO_WHO_PROCESS of linux/ioprio.h

func (p *program) addScheduling(s Scheduling) {
	if s.Attr != nil {
		p.add(StepScheduling, unix.SYS_SCHED_SETATTR, 0, pointer(p, s.Attr), 0)
	}
	if s.IOPriority != nil {
		p.add(StepScheduling, unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, uintptr(*s.IOPriority))
	}
	if s.Affinity != nil {
		p.add(StepScheduling, unix.SYS_SCHED_SETAFFINITY, 0, uintptr(len(s.Affinity))*8, pointer(p, s.Affinity))
	}
	if s.Memory != nil {
		var mask, bits uintptr
		if s.Memory.Nodes != 0 {
			nodes := s.Memory.Nodes
			mask, bits = pointer(p, &nodes), 65 // the kernel takes one less
		}
		p.add(StepScheduling, unix.SYS_SET_MEMPOLICY, uintptr(s.Memory.Mode), mask, bits)
	}
	if s.Personality != nil {
		p.add(StepScheduling, unix.SYS_PERSONALITY, uintptr(*s.Personality))
	}
}
