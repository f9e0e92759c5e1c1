package seccomp

// holds emits the test of c and goes to t if it holds, to f if not. With
// is32Bit only the low word of the argument and of the value counts.
func (a *assembler) holds(c cond, is32Bit bool, t, f label) label {
	switch c.op {
	case OpNotEqual:
		return a.equal(c, is32Bit, f, t)
	case OpGreaterThan:
		return a.greater(c, is32Bit, opJGT, t, f)
	case OpGreaterEqual:
		return a.greater(c, is32Bit, opJGE, t, f)
	case OpLessThan:
		return a.greater(c, is32Bit, opJGE, f, t)
	case OpLessEqual:
		return a.greater(c, is32Bit, opJGT, f, t)
	default: // OpEqualTo, OpMaskedEqual; others do not pass Arg.cond
		return a.equal(c, is32Bit, t, f)
	}
}

// equal compares both words under the mask, high word first.
func (a *assembler) equal(c cond, is32Bit bool, t, f label) label {
	l := a.wordEqual(c.loOffset(), uint32(c.mask), uint32(c.value), t, f)
	if !is32Bit {
		l = a.wordEqual(c.hiOffset(), uint32(c.mask>>32), uint32(c.value>>32), l, f)
	}
	return l
}

func (a *assembler) wordEqual(offset, mask, value uint32, t, f label) label {
	if mask == 0 {
		return t // the value is zero there too, see Arg.cond
	}
	l := a.branch(opJEQ, value, t, f)
	if mask != ^uint32(0) {
		l = a.and(mask, l)
	}
	return a.load(offset, l)
}

// greater compares by op, which is opJGT or opJGE: the high words decide
// unless they are equal.
func (a *assembler) greater(c cond, is32Bit bool, op uint16, t, f label) label {
	l := a.load(c.loOffset(), a.branch(op, uint32(c.value), t, f))
	if is32Bit {
		return l
	}
	hi := uint32(c.value >> 32)
	l = a.branch(opJEQ, hi, l, f)
	l = a.branch(opJGT, hi, t, l)
	return a.load(c.hiOffset(), l)
}

// The words of an argument lie in the guest's order, little endian.
func (c cond) loOffset() uint32 { return uint32(offArgs + 8*c.index) }
func (c cond) hiOffset() uint32 { return c.loOffset() + 4 }
