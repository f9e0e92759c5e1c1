package seccomp

import "slices"

// machine is a value of seccomp_data.arch with the ABIs that share it.
type machine struct {
	audit   uint32
	is32Bit bool
	abis    []abi
}

// machines groups the ABIs of the profile, the native one first.
func (r *resolved) machines() []machine {
	var out []machine
	for _, a := range r.abis {
		i := slices.IndexFunc(out, func(m machine) bool { return m.audit == a.audit() })
		if i < 0 {
			out = append(out, machine{audit: a.audit(), is32Bit: a.is32Bit()})
			i = len(out) - 1
		}
		out[i].abis = append(out[i].abis, a)
	}
	return out
}

// leaf is what happens to a system call: the first of rules whose conditions
// hold decides, action if none does.
type leaf struct {
	rules  []*rule
	action uint32
}

// numberRange gives a leaf to the numbers from first up to the next range.
type numberRange struct {
	first uint32
	leaf  leaf
}

// split returns the ranges of system call numbers that are treated alike, in
// ascending order and beginning with number 0.
func (r *resolved) split(m machine) []numberRange {
	rules, order := r.placeRules(m)
	fallback := leaf{action: r.fallback}
	ranges := make([]numberRange, 0, 256)
	add := func(first uint32, l leaf) {
		if n := len(ranges); n > 0 && ranges[n-1].first == first {
			ranges = ranges[:n-1] // an empty gap between two calls
		}
		if n := len(ranges); n > 0 {
			last := ranges[n-1].leaf
			if last.rules == nil && l.rules == nil && last.action == l.action {
				return
			}
		}
		ranges = append(ranges, numberRange{first, l})
	}
	add(0, fallback)
	for len(order) > 0 {
		nr := order[0].number()
		n := 1
		for n < len(order) && order[n].number() == nr {
			n++
		}
		add(nr, r.merge(rules, order[:n]))
		add(nr+1, fallback)
		order = order[n:]
	}
	if m.audit == auditX86_64 && !slices.Contains(m.abis, abiX32) {
		// As libseccomp: x32 is an architecture not in the profile. Number -1,
		// which a tracer sets to skip a call, is not x32.
		add(x32Bit, leaf{action: retKillThread})
		add(^uint32(0), fallback)
	}
	return ranges
}

// merge combines the rules of one system call, given in profile order.
func (r *resolved) merge(rules []*rule, calls []placed) leaf {
	for _, p := range calls {
		if found := rules[p.rule()]; len(found.conds) == 0 {
			return leaf{action: found.action}
		}
	}
	l := leaf{action: r.fallback}
	for _, p := range calls {
		l.rules = append(l.rules, rules[p.rule()])
	}
	return l
}

// placed is a rule at a system call number: the number and, below it, the
// index of the rule, so that sorting keeps rules of one number in order.
type placed uint64

func placeAt(nr int32, rule int) placed { return placed(uint32(nr))<<32 | placed(rule) }

func (p placed) number() uint32 { return uint32(p >> 32) }
func (p placed) rule() int      { return int(uint32(p)) }

// placeRules returns the rules of a machine and, sorted, where they apply.
func (r *resolved) placeRules(m machine) (rules []*rule, order []placed) {
	order = make([]placed, 0, 1024)
	for i := range r.rules {
		from := &r.rules[i]
		rules = append(rules, from)
		at := len(rules) - 1
		for _, c := range from.calls {
			for _, a := range m.abis {
				if nr := c.nr[a]; nr >= 0 {
					order = append(order, placeAt(nr, at))
				}
			}
			if m.audit != auditI386 {
				continue
			}
			if mux, extra := r.demultiplex(c.name, from); extra != nil {
				rules = append(rules, extra)
				order = append(order, placeAt(mux, len(rules)-1))
			}
		}
	}
	slices.Sort(order)
	return rules, order
}

// demultiplex returns the rule that treats a call made through socketcall or
// ipc like the call itself, with the multiplexer's number. A rule with
// conditions is carried over without them if it is stricter than the default,
// and not at all if it is laxer. A nil rule means there is nothing to add.
func (r *resolved) demultiplex(name string, from *rule) (int32, *rule) {
	sel, ok := multiplexed(name)
	if !ok || len(from.conds) > 0 && !stricter(from.action, r.fallback) {
		return 0, nil
	}
	c := cond{index: 0, op: OpEqualTo, mask: ^uint64(0), value: sel.value}
	if sel.mux == "ipc" {
		c.op, c.mask = OpMaskedEqual, 0xffff // the rest is a version
	}
	return lookup(sel.mux).nr[abiI386], &rule{action: from.action, conds: []cond{c}}
}

// stricter compares two actions as the kernel does between filters: the lower
// signed value wins.
func stricter(a, b uint32) bool {
	return int32(a&retActionMask) < int32(b&retActionMask)
}
