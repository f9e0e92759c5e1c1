// Package detach finds the keys by which a user leaves an attached terminal.
//
// The monitor's clients and exec sessions look for them in what is typed; the
// keys' names are read by the door.
package detach

// Matcher looks for the detach keys in typed input. Unlike moby/term's
// escape proxy it never reads, so that it cannot hold typed bytes back until the
// next ones come, other than those that may begin the keys.
type Matcher struct {
	keys []byte
	held int // how many of keys have been seen and are held back
}

// NewMatcher returns a matcher of keys, typed in this order; no keys match nothing.
func NewMatcher(keys []byte) *Matcher { return &Matcher{keys: keys} }

// Filter returns what of p is to be passed on, and whether the keys were typed;
// what comes after them is dropped.
func (m *Matcher) Filter(p []byte) (out []byte, detach bool) {
	if len(m.keys) == 0 {
		return p, false
	}
	out = make([]byte, 0, len(p)+m.held)
	for _, b := range p {
		for m.held > 0 && m.keys[m.held] != b {
			out = append(out, m.shift()...)
		}
		if m.keys[m.held] != b {
			out = append(out, b)
			continue
		}
		if m.held++; m.held == len(m.keys) {
			m.held = 0
			return out, true
		}
	}
	return out, false
}

// shift gives up the shortest beginning of what is held such that the rest may
// still begin the keys.
func (m *Matcher) shift() []byte {
	for n := 1; ; n++ {
		if string(m.keys[n:m.held]) == string(m.keys[:m.held-n]) {
			m.held -= n
			return m.keys[:n]
		}
	}
}

// Rest gives up what is held.
func (m *Matcher) Rest() []byte {
	n := m.held
	m.held = 0
	return m.keys[:n]
}
