package detach

import (
	"strings"
	"testing"
)

func TestMatcher(t *testing.T) {
	const keys = "\x10\x11" // ctrl-p,ctrl-q
	for _, tt := range []struct {
		name     string
		keys     string
		in       []string // reads
		want     string
		detached bool
	}{
		{"nothing typed", keys, nil, "", false},
		{"plain text", keys, []string{"abc"}, "abc", false},
		{"keys at once", keys, []string{"ab\x10\x11cd"}, "ab", true},
		{"keys in two reads", keys, []string{"ab\x10", "\x11"}, "ab", true},
		{"half the keys, then text", keys, []string{"\x10", "x"}, "\x10x", false},
		{"half the keys, then the end", keys, []string{"a\x10"}, "a\x10", false},
		{"first key twice", keys, []string{"\x10\x10\x11"}, "\x10", true},
		{"repeating keys", "aab", []string{"aaab"}, "a", true},
		{"no keys", "", []string{"\x10\x11"}, "\x10\x11", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := NewMatcher([]byte(tt.keys))
			var got strings.Builder
			detached := false
			for _, read := range tt.in {
				out, found := m.Filter([]byte(read))
				got.Write(out)
				if found {
					detached = true
					break
				}
			}
			if !detached {
				got.Write(m.Rest())
			}
			if got.String() != tt.want || detached != tt.detached {
				t.Errorf("passed on %q, detached %t; want %q, %t", got.String(), detached, tt.want, tt.detached)
			}
		})
	}
}
