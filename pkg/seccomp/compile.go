package seccomp

import (
	"runtime"
	"slices"
)

// Default compiles the built-in profile for a guest of the host's
// architecture and a container with the given bounding set of capabilities.
// See Compile.
func Default(caps []string) ([]byte, error) {
	return Compile(DefaultProfile(), Target{Arch: runtime.GOARCH, Caps: caps})
}

// Compile returns the BPF program of a profile: instructions of eight bytes in
// little-endian order, at least one and at most 4096 of them. Profile mistakes
// are *ProfileError; a program beyond the kernel's limit is ErrTooLarge.
func Compile(p *Profile, t Target) ([]byte, error) {
	checked, err := t.check()
	if err != nil {
		return nil, err
	}
	res, err := p.resolve(checked)
	if err != nil {
		return nil, err
	}
	a := &assembler{returns: map[uint32]label{}}
	entry := a.ret(retKillThread) // architecture not in the profile
	machines := res.machines()
	var trees []label
	for _, m := range slices.Backward(machines) {
		trees = append(trees, a.load(offNumber, a.search(m, res.split(m))))
		if len(a.rev) > maxInsns {
			return nil, ErrTooLarge
		}
	}
	for i, tree := range trees { // the native architecture is asked first
		m := machines[len(machines)-1-i]
		entry = a.branch(opJEQ, m.audit, tree, entry)
	}
	a.load(offArch, entry)
	if len(a.rev) > maxInsns {
		return nil, ErrTooLarge
	}
	return a.bytes(), nil
}

// search emits a binary search for A among ranges, which cover all numbers.
func (a *assembler) search(m machine, ranges []numberRange) label {
	if len(ranges) == 1 {
		return a.decide(m, ranges[0].leaf)
	}
	mid := len(ranges) / 2
	right := a.search(m, ranges[mid:])
	left := a.search(m, ranges[:mid])
	return a.branch(opJGE, ranges[mid].first, right, left)
}

// decide emits the rules of a leaf, the first that matches deciding.
func (a *assembler) decide(m machine, l leaf) label {
	next := a.ret(l.action)
	for _, r := range slices.Backward(l.rules) {
		t := a.ret(r.action)
		for _, c := range slices.Backward(r.conds) {
			t = a.holds(c, m.is32Bit, t, next)
		}
		next = t
	}
	return next
}
