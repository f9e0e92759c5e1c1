package seccomp

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// evaluator says what a profile does with a system call by reading it rule by
// rule, sharing with the compiler only the table of numbers.
type evaluator struct {
	fallback uint32
	allowed  []string // architectures
	rules    []evaluatorRule
}

type evaluatorRule struct {
	action uint32
	names  []string
	rows   []*call // of names, nil for unknown ones
	args   []Arg
}

func newEvaluator(p *Profile, target Target) *evaluator {
	family := map[string][]string{
		"amd64": {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"},
		"arm64": {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"},
	}[target.Arch]
	wanted := append([]string{family[0]}, p.Architectures...)
	for _, m := range p.ArchMap {
		if m.Arch == family[0] {
			wanted = append(wanted, m.SubArches...)
		}
	}
	e := &evaluator{fallback: actionValue(p.DefaultAction, p.DefaultErrno, p.DefaultErrnoRet)}
	for _, name := range wanted {
		if slices.Contains(family, name) {
			e.allowed = append(e.allowed, name)
		}
	}
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		action := actionValue(s.Action, s.Errno, s.ErrnoRet)
		if action == e.fallback || !selected(s, target) {
			continue
		}
		r := evaluatorRule{action: action, names: s.Names, args: s.Args}
		if s.Name != "" {
			r.names = []string{s.Name}
		}
		for _, name := range r.names {
			r.rows = append(r.rows, lookup(name))
		}
		e.rules = append(e.rules, r)
	}
	return e
}

func (e *evaluator) evaluate(d *data) uint32 {
	caller, column := "", 0
	switch {
	case d.arch == 0xc000003e && d.nr >= 1<<30 && d.nr != 1<<32-1:
		caller, column = "SCMP_ARCH_X32", 2
	case d.arch == 0xc000003e:
		caller, column = "SCMP_ARCH_X86_64", 0
	case d.arch == 0x40000003:
		caller, column = "SCMP_ARCH_X86", 1
	case d.arch == 0xc00000b7:
		caller, column = "SCMP_ARCH_AARCH64", 3
	case d.arch == 0x40000028:
		caller, column = "SCMP_ARCH_ARM", 4
	}
	if !slices.Contains(e.allowed, caller) {
		return 0
	}
	i386 := caller == "SCMP_ARCH_X86"
	is32 := i386 || caller == "SCMP_ARCH_ARM"
	var conditional []uint32
	for _, r := range e.rules {
		for i, row := range r.rows {
			if row == nil {
				continue
			}
			if int64(row.nr[column]) == int64(d.nr) {
				if len(r.args) == 0 {
					return r.action
				}
				if matches(r.args, d, is32) {
					conditional = append(conditional, r.action)
				}
			}
			restricts := int32(r.action&0xffff0000) < int32(e.fallback&0xffff0000)
			if i386 && muxed(r.names[i], d) && (len(r.args) == 0 || restricts) {
				conditional = append(conditional, r.action)
			}
		}
	}
	if len(conditional) > 0 {
		return conditional[0]
	}
	return e.fallback
}

// muxed reports whether d asks socketcall or ipc of i386 for the call name.
func muxed(name string, d *data) bool {
	socketcall := []string{
		"", "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername",
		"socketpair", "send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt",
		"getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg", "sendmmsg",
	}
	ipc := []string{
		"", "semop", "semget", "semctl", "semtimedop", "", "", "", "", "", "",
		"msgsnd", "msgrcv", "msgget", "msgctl", "", "", "", "", "", "",
		"shmat", "shmdt", "shmget", "shmctl",
	}
	var calls []string
	which := uint32(d.args[0])
	switch d.nr {
	case 102:
		calls = socketcall
	case 117:
		calls = ipc
		which &= 0xffff
	}
	return int64(which) < int64(len(calls)) && calls[which] == name
}

func selected(s *Rule, t Target) bool {
	newEnough := func(min string) bool {
		want, _ := parseKernel(min)
		have, _ := parseKernel(t.Kernel)
		return t.Kernel == "" || have.major > want.major || have.major == want.major && have.minor >= want.minor
	}
	for _, c := range s.Excludes.Caps {
		if slices.Contains(t.Caps, c) {
			return false
		}
	}
	for _, c := range s.Includes.Caps {
		if !slices.Contains(t.Caps, c) {
			return false
		}
	}
	if slices.Contains(s.Excludes.Arches, t.Arch) ||
		len(s.Includes.Arches) > 0 && !slices.Contains(s.Includes.Arches, t.Arch) {
		return false
	}
	if m := s.Excludes.MinKernel; m != "" && newEnough(m) {
		return false
	}
	m := s.Includes.MinKernel
	return m == "" || newEnough(m)
}

// matches reports whether all conditions hold or, when one argument occurs
// twice, any of them.
func matches(args []Arg, d *data, is32 bool) bool {
	var seen [argCount]bool
	repeated, all, one := false, true, false
	for _, a := range args {
		repeated = repeated || seen[a.Index]
		seen[a.Index] = true
		ok := compare(a, d.args[a.Index], is32)
		all = all && ok
		one = one || ok
	}
	if repeated {
		return one
	}
	return all
}

func compare(a Arg, have uint64, is32 bool) bool {
	value, mask := a.Value, a.Value
	if a.Op == OpMaskedEqual {
		value = a.ValueTwo
	}
	if is32 {
		have, value, mask = have&0xffffffff, value&0xffffffff, mask&0xffffffff
	}
	switch a.Op {
	case OpNotEqual:
		return have != value
	case OpLessThan:
		return have < value
	case OpLessEqual:
		return have <= value
	case OpEqualTo:
		return have == value
	case OpGreaterEqual:
		return have >= value
	case OpGreaterThan:
		return have > value
	case OpMaskedEqual:
		return have&mask == value&mask
	}
	panic(a.Op)
}

func actionValue(a Action, name string, number *uint) uint32 {
	e := uint32(1)
	if number != nil {
		e = uint32(*number)
	}
	for i := range uint32(134) {
		if name != "" && unix.ErrnoName(unix.Errno(i)) == name {
			e = i
		}
	}
	switch a {
	case ActKillProcess:
		return 0x80000000
	case ActKill, ActKillThread:
		return 0
	case ActTrap:
		return 0x00030000
	case ActErrno:
		return 0x00050000 | e
	case ActTrace:
		return 0x7ff00000 | e
	case ActLog:
		return 0x7ffc0000
	case ActAllow:
		return 0x7fff0000
	}
	panic(a)
}

// numbersOfInterest are all numbers in use, their neighbours and extremes.
func numbersOfInterest() []uint32 {
	var out []uint32
	for nr := range uint32(501) {
		out = append(out, nr)
	}
	for nr := range uint32(560) {
		out = append(out, 0x40000000+nr)
	}
	for nr := range uint32(10) {
		out = append(out, 0xf0000+nr)
	}
	return append(out, 0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff)
}

// valuesOfInterest are the values that a profile compares argument i of a
// system call with, their neighbours and what differs in the high word alone.
func valuesOfInterest(p *Profile, name string, index uint) []uint64 {
	out := []uint64{0, ^uint64(0)}
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		if s.Name != name && !slices.Contains(s.Names, name) {
			continue
		}
		for _, a := range s.Args {
			if a.Index != index {
				continue
			}
			for _, v := range []uint64{a.Value, a.ValueTwo} {
				out = append(out, v, v-1, v+1, v^1<<32, v^1<<63, v&0xffffffff, v>>32)
			}
			out = append(out, a.Value|a.ValueTwo, ^a.Value|a.ValueTwo)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// compareAll compares a program with a profile over numbers and arguments and
// fails the test at the first difference.
func compareAll(t testing.TB, p *Profile, target Target, ins []insn) {
	t.Helper()
	arches := []uint32{0xc000003e, 0x40000003, 0xc00000b7, 0x40000028, 0}
	conditional := conditionalNames(p)
	e := newEvaluator(p, target)
	for _, arch := range arches {
		for _, nr := range numbersOfInterest() {
			d := data{nr: nr, arch: arch}
			check(t, e, ins, &d)
		}
		if x86 := arch == 0xc000003e || arch == 0x40000003; x86 != (target.Arch == "amd64") {
			continue
		}
		for _, name := range conditional {
			row := lookup(name)
			if row == nil {
				continue
			}
			numbers := row.nr[:]
			if _, ok := multiplexed(name); ok {
				numbers = append(slices.Clone(numbers), 102, 117)
			}
			for _, nr := range numbers {
				if nr >= 0 {
					vary(t, p, e, ins, data{nr: uint32(nr), arch: arch}, name)
				}
			}
		}
	}
}

// vary tries the values of interest on each argument, alone and, up to about
// 100 times, in pairs.
func vary(t testing.TB, p *Profile, e *evaluator, ins []insn, d data, name string) {
	t.Helper()
	var values [argCount][]uint64
	total := 0
	for i := range values {
		values[i] = valuesOfInterest(p, name, uint(i))
		if i == 0 && (d.nr == 102 || d.nr == 117) {
			for v := range uint64(26) {
				values[i] = append(values[i], v, v|0x10000)
			}
		}
		total += len(values[i])
	}
	step := total*total/200 + 1
	n := 0
	for i := range values {
		for _, v := range values[i] {
			one := d
			one.args[i] = v
			check(t, e, ins, &one)
			for j := i + 1; j < len(values); j++ {
				for _, w := range values[j] {
					if n++; n%step == 0 {
						two := one
						two.args[j] = w
						check(t, e, ins, &two)
					}
				}
			}
		}
	}
}

func check(t testing.TB, e *evaluator, ins []insn, d *data) {
	t.Helper()
	got, _ := run(ins, d)
	if want := e.evaluate(d); got != want {
		t.Fatalf("arch %#x call %d args %#x: got %s, want %s",
			d.arch, d.nr, d.args, actionString(got), actionString(want))
	}
}

func conditionalNames(p *Profile) []string {
	var names []string
	for i := range p.Syscalls {
		if len(p.Syscalls[i].Args) == 0 {
			continue
		}
		for _, name := range append([]string{p.Syscalls[i].Name}, p.Syscalls[i].Names...) {
			if name != "" {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
