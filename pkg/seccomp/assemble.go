package seccomp

import "encoding/binary"

// Opcodes of classic BPF, as linux/include/uapi/linux/bpf_common.h composes
// them. These alone keep the kernel's cache of allowed calls working: see
// seccomp_is_const_allow in linux/kernel/seccomp.c.
const (
	opLoad = 0x20 // BPF_LD | BPF_W | BPF_ABS: A = data[k]
	opJump = 0x05 // BPF_JMP | BPF_JA
	opJEQ  = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	opJGT  = 0x25 // BPF_JMP | BPF_JGT | BPF_K
	opJGE  = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	opAnd  = 0x54 // BPF_ALU | BPF_AND | BPF_K
	opRet  = 0x06 // BPF_RET | BPF_K
)

// Offsets into struct seccomp_data, linux/include/uapi/linux/seccomp.h.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

const (
	maxInsns  = 4096 // BPF_MAXINSNS
	maxBranch = 255  // reach of jt and jf
	insnBytes = 8    // sizeof(struct sock_filter)
)

// insn is struct sock_filter.
type insn struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// label is the place of an instruction, counted from the end of the program.
type label int

// assembler builds a program from its last instruction to its first. Jumps in
// BPF only go forward, so every target is placed before who jumps to it and
// distances are known at once.
type assembler struct {
	rev     []insn           // the program, last instruction first
	returns map[uint32]label // the latest return of each action
}

// ret returns a place that returns action, near if there is one.
func (a *assembler) ret(action uint32) label {
	if l, ok := a.returns[action]; ok && a.distance(l) <= maxBranch {
		return l
	}
	l := a.put(insn{code: opRet, k: action})
	a.returns[action] = l
	return l
}

// branch compares A with k and goes to t or f.
func (a *assembler) branch(op uint16, k uint32, t, f label) label {
	if t == f {
		return t
	}
	// Bringing one target near pushes the other a step away; the second round
	// settles that.
	for range 2 {
		t = a.near(t)
		f = a.near(f)
	}
	return a.put(insn{code: op, jt: uint8(a.distance(t)), jf: uint8(a.distance(f)), k: k})
}

// load loads a word of seccomp_data into A and goes on at next.
func (a *assembler) load(offset uint32, next label) label {
	a.fall(next)
	return a.put(insn{code: opLoad, k: offset})
}

// and masks A and goes on at next.
func (a *assembler) and(mask uint32, next label) label {
	a.fall(next)
	return a.put(insn{code: opAnd, k: mask})
}

// fall makes next the instruction that follows the one about to be put.
func (a *assembler) fall(next label) {
	if a.distance(next) != 0 {
		a.trampoline(next)
	}
}

// near returns a place within reach of a branch from which l is reached.
func (a *assembler) near(l label) label {
	if a.distance(l) <= maxBranch {
		return l
	}
	return a.trampoline(l)
}

// trampoline puts a long jump to l, or a copy of it if it just returns.
func (a *assembler) trampoline(l label) label {
	if target := a.rev[l]; target.code == opRet {
		a.returns[target.k] = a.put(target)
		return a.returns[target.k]
	}
	return a.put(insn{code: opJump, k: uint32(a.distance(l))})
}

// distance is the jump offset to l of the instruction about to be put.
func (a *assembler) distance(l label) int { return len(a.rev) - int(l) - 1 }

func (a *assembler) put(i insn) label {
	a.rev = append(a.rev, i)
	return label(len(a.rev) - 1)
}

// bytes returns the program as an array of struct sock_filter, little endian.
func (a *assembler) bytes() []byte {
	out := make([]byte, 0, len(a.rev)*insnBytes)
	for i := len(a.rev) - 1; i >= 0; i-- {
		in := a.rev[i]
		out = binary.LittleEndian.AppendUint16(out, in.code)
		out = append(out, in.jt, in.jf)
		out = binary.LittleEndian.AppendUint32(out, in.k)
	}
	return out
}
