package seccomp

import (
	"fmt"
	"slices"
)

// argCount is the number of arguments of a Linux system call.
const argCount = 6

// resolved is a checked profile reduced to one target.
type resolved struct {
	fallback uint32 // default action
	abis     []abi  // native first, without repetition
	rules    []rule // in profile order
}

// rule is an action for some system calls, as the kernel will see it.
type rule struct {
	calls  []*call // rows of table; set by resolve
	action uint32
	conds  []cond
}

// cond is a condition on one argument: (arg & mask) op value.
type cond struct {
	index int
	op    Operator
	mask  uint64
	value uint64
}

// check reports the first mistake of p, whatever its target.
func (p *Profile) check() error {
	var r resolver
	if _, err := r.fallback(p); err != nil {
		return err
	}
	if _, err := p.abis(abiX86_64); err != nil {
		return err
	}
	for i := range p.Syscalls {
		if _, err := r.rules(i, &p.Syscalls[i]); err != nil {
			return err
		}
	}
	_, err := p.FilterFlags()
	return err
}

// resolve checks p and reduces it to the rules that t selects. Rules that
// give the default action are dropped, as crun and runc do.
func (p *Profile) resolve(t target) (*resolved, error) {
	var r resolver
	var err error
	res := &resolved{}
	if res.fallback, err = r.fallback(p); err != nil {
		return nil, err
	}
	if res.abis, err = p.abis(t.native); err != nil {
		return nil, err
	}
	for i := range p.Syscalls {
		rules, err := r.rules(i, &p.Syscalls[i])
		if err != nil {
			return nil, err
		}
		if rules[0].action == res.fallback || !t.selects(&p.Syscalls[i]) {
			continue
		}
		calls := p.Syscalls[i].calls()
		for j := range rules {
			rules[j].calls = calls
		}
		res.rules = append(res.rules, rules...)
	}
	return res, nil
}

// fallback returns the kernel value of the default action.
func (r *resolver) fallback(p *Profile) (uint32, error) {
	if p.DefaultAction == "" {
		return 0, &ProfileError{
			At: "defaultAction", Problem: "not set",
			Hint: "give the action for calls without a rule, such as SCMP_ACT_ERRNO",
		}
	}
	return r.action("defaultAction", p.DefaultAction, p.DefaultErrno, p.DefaultErrnoRet)
}

// abis returns the ABIs that the profile lets run on a kernel of ABI n.
func (p *Profile) abis(n abi) ([]abi, error) {
	if len(p.Architectures) > 0 && len(p.ArchMap) > 0 {
		return nil, &ProfileError{
			Problem: "has both architectures and archMap",
			Hint:    "keep one of them",
		}
	}
	abis := []abi{n}
	add := func(at, name string, use bool) (abi, error) {
		a, ok := parseArch(name, n)
		if !ok {
			return 0, &ProfileError{
				At: at, Problem: fmt.Sprintf("unknown architecture %q", name),
				Hint: "use names such as SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32, SCMP_ARCH_AARCH64, SCMP_ARCH_ARM",
			}
		}
		if use && a.runsOn(n) && !slices.Contains(abis, a) {
			abis = append(abis, a)
		}
		return a, nil
	}
	for i, name := range p.Architectures {
		if _, err := add(fmt.Sprintf("architectures[%d]", i), name, true); err != nil {
			return nil, err
		}
	}
	for i, m := range p.ArchMap {
		main, err := add(fmt.Sprintf("archMap[%d].architecture", i), m.Arch, false)
		if err != nil {
			return nil, err
		}
		for j, name := range m.SubArches {
			if _, err := add(fmt.Sprintf("archMap[%d].subArchitectures[%d]", i, j), name, main == n); err != nil {
				return nil, err
			}
		}
	}
	return abis, nil
}

// rules checks entry i of the profile and returns it in the kernel's terms: at
// least one rule, several where one argument has several conditions.
func (r *resolver) rules(i int, s *Rule) ([]rule, error) {
	switch {
	case s.Name != "" && len(s.Names) > 0:
		return nil, &ProfileError{
			At: fmt.Sprintf("syscalls[%d]", i), Problem: "has both name and names",
			Hint: "keep one of them",
		}
	case s.Name == "" && len(s.Names) == 0:
		return nil, &ProfileError{
			At: fmt.Sprintf("syscalls[%d]", i), Problem: "names no system call",
			Hint: "list the calls in names",
		}
	}
	at := s.where(i)
	if s.Action == "" {
		return nil, &ProfileError{
			At: at, Problem: "has no action",
			Hint: "give one, such as SCMP_ACT_ALLOW",
		}
	}
	action, err := r.action(at, s.Action, s.Errno, s.ErrnoRet)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name string
		f    *Filter
	}{{"includes", &s.Includes}, {"excludes", &s.Excludes}} {
		if _, err := parseKernel(f.f.MinKernel); err != nil {
			return nil, &ProfileError{
				At: at + "." + f.name + ".minKernel", Problem: err.Error(),
				Hint: "give a version such as 4.8", Err: err,
			}
		}
	}
	conds := make([]cond, 0, len(s.Args))
	var count [argCount]int
	split := false
	for j := range s.Args {
		c, err := s.Args[j].cond(fmt.Sprintf("%s.args[%d]", at, j))
		if err != nil {
			return nil, err
		}
		conds = append(conds, c)
		count[c.index]++
		split = split || count[c.index] > 1
	}
	if !split {
		return []rule{{action: action, conds: conds}}, nil
	}
	var rules []rule
	for j := range conds {
		rules = append(rules, rule{action: action, conds: conds[j : j+1]})
	}
	return rules, nil
}

// allNames returns Names, or the old Name; rules does not let both pass.
func (s *Rule) allNames() []string {
	if s.Name != "" {
		return []string{s.Name}
	}
	return s.Names
}

// calls returns the rows of the system calls that s names and the table knows.
func (s *Rule) calls() []*call {
	calls := make([]*call, 0, len(s.allNames()))
	for _, name := range s.allNames() {
		if c := lookup(name); c != nil {
			calls = append(calls, c)
		}
	}
	return calls
}

// where names entry i of the profile in errors.
func (s *Rule) where(i int) string {
	return fmt.Sprintf("syscalls[%d] (%s)", i, s.allNames()[0])
}

// cond checks a condition.
func (a *Arg) cond(at string) (cond, error) {
	if a.Index >= argCount {
		return cond{}, &ProfileError{
			At: at, Problem: fmt.Sprintf("argument index %d does not exist", a.Index),
			Hint: "use 0 to 5",
		}
	}
	c := cond{index: int(a.Index), op: a.Op, mask: ^uint64(0), value: a.Value}
	switch a.Op {
	case OpNotEqual, OpLessThan, OpLessEqual, OpEqualTo, OpGreaterEqual, OpGreaterThan:
	case OpMaskedEqual:
		// As libseccomp, ignore bits of the value outside the mask.
		c.mask, c.value = a.Value, a.ValueTwo&a.Value
	default:
		return cond{}, &ProfileError{
			At: at, Problem: fmt.Sprintf("unknown operator %q", a.Op),
			Hint: "use SCMP_CMP_NE, LT, LE, EQ, GE, GT or MASKED_EQ, with the prefix SCMP_CMP_",
		}
	}
	return c, nil
}
