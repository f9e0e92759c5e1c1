package seccomp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// data is struct seccomp_data without the instruction pointer.
type data struct {
	nr   uint32
	arch uint32
	args [6]uint64
}

// word loads as BPF_LD | BPF_W | BPF_ABS does on a little-endian machine.
func (d *data) word(offset uint32) uint32 {
	switch {
	case offset == 0:
		return d.nr
	case offset == 4:
		return d.arch
	case offset >= 16 && offset < 64:
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], d.args[(offset-16)/8])
		return binary.LittleEndian.Uint32(b[offset%8:])
	}
	return 0 // instruction pointer
}

// decode checks a program as seccomp_check_filter and bpf_check_classic of the
// kernel do and returns its instructions.
func decode(t testing.TB, prog []byte) []insn {
	t.Helper()
	if len(prog)%insnBytes != 0 || len(prog) == 0 || len(prog) > maxInsns*insnBytes {
		t.Fatalf("program of %d bytes", len(prog))
	}
	var ins []insn
	for i := 0; i < len(prog); i += insnBytes {
		ins = append(ins, insn{
			code: binary.LittleEndian.Uint16(prog[i:]),
			jt:   prog[i+2], jf: prog[i+3],
			k: binary.LittleEndian.Uint32(prog[i+4:]),
		})
	}
	for pc, in := range ins {
		left := len(ins) - pc - 1
		switch in.code {
		case opLoad:
			if in.k%4 != 0 || in.k >= 64 {
				t.Fatalf("%d: load of offset %d", pc, in.k)
			}
		case opAnd, opRet:
		case opJump:
			if int64(in.k) >= int64(left) {
				t.Fatalf("%d: jump by %d leaves the program", pc, in.k)
			}
		case opJEQ, opJGT, opJGE:
			if int(in.jt) >= left || int(in.jf) >= left {
				t.Fatalf("%d: branch by %d, %d leaves the program", pc, in.jt, in.jf)
			}
		default:
			t.Fatalf("%d: opcode %#x", pc, in.code)
		}
	}
	if ins[len(ins)-1].code != opRet {
		t.Fatal("program does not end in a return")
	}
	return ins
}

// run interprets a decoded program and counts its steps.
func run(ins []insn, d *data) (action uint32, steps int) {
	var a uint32
	for pc := 0; ; pc++ {
		in := ins[pc]
		steps++
		var holds bool
		switch in.code {
		case opLoad:
			a = d.word(in.k)
			continue
		case opAnd:
			a &= in.k
			continue
		case opRet:
			return in.k, steps
		case opJump:
			pc += int(in.k)
			continue
		case opJEQ:
			holds = a == in.k
		case opJGT:
			holds = a > in.k
		case opJGE:
			holds = a >= in.k
		}
		if holds {
			pc += int(in.jt)
		} else {
			pc += int(in.jf)
		}
	}
}

// disassemble prints a program one instruction per line.
func disassemble(ins []insn) string {
	var b strings.Builder
	for pc, in := range ins {
		fmt.Fprintf(&b, "%4d  ", pc)
		to := func(offset uint8) int { return pc + 1 + int(offset) }
		switch in.code {
		case opLoad:
			fmt.Fprintf(&b, "ld   [%d]", in.k)
		case opAnd:
			fmt.Fprintf(&b, "and  %#x", in.k)
		case opRet:
			fmt.Fprintf(&b, "ret  %s", actionString(in.k))
		case opJump:
			fmt.Fprintf(&b, "ja   %d", pc+1+int(in.k))
		case opJEQ:
			fmt.Fprintf(&b, "jeq  %#x, %d, %d", in.k, to(in.jt), to(in.jf))
		case opJGT:
			fmt.Fprintf(&b, "jgt  %#x, %d, %d", in.k, to(in.jt), to(in.jf))
		case opJGE:
			fmt.Fprintf(&b, "jge  %#x, %d, %d", in.k, to(in.jt), to(in.jf))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func actionString(action uint32) string {
	low := action & 0xffff
	switch action & retActionMask {
	case retKillProcess:
		return "KILL_PROCESS"
	case retKillThread:
		return "KILL_THREAD"
	case retTrap:
		return "TRAP"
	case retErrno:
		return fmt.Sprintf("ERRNO(%d)", low)
	case retTrace:
		return fmt.Sprintf("TRACE(%d)", low)
	case retLog:
		return "LOG"
	case retAllow:
		return "ALLOW"
	}
	return fmt.Sprintf("%#x", action)
}
