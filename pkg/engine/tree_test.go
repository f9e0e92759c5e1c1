package engine

import (
	"strings"
	"testing"
)

func TestReadChanges(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     string // "" is an error
	}{
		{"nothing", "", "-"},
		{"in the order of a walk", "A/a-b\x00C/b\x00D/a/b\x00C/a\x00", "C/a D/a/b A/a-b C/b"},
		{"made in every container", "C/etc\x00A/etc/hosts\x00A/run/.containerenv\x00A/run/x\x00", "C/etc A/run/x"},
		{"another kind", "X/a\x00", ""},
		{"no path", "A\x00", ""},
		{"empty record", "\x00", ""},
		{"relative path", "Aa\x00", ""},
		{"half a record", "A/a", ""},
		{"a long path", "A/" + strings.Repeat("x", 5000) + "\x00", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			changes, err := readChanges(strings.NewReader(tt.in))
			var got []string
			for _, c := range changes {
				got = append(got, string(rune(c.Kind))+c.Path)
			}
			text := strings.Join(got, " ")
			if tt.want == "-" {
				tt.want = ""
			} else if (err != nil) != (tt.want == "") {
				t.Fatalf("error %v", err)
			}
			if text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

// FuzzChanges reads a guest's list of changes, whatever it is.
func FuzzChanges(f *testing.F) {
	f.Add("A/a\x00C/b\x00")
	f.Add("A")
	f.Fuzz(func(t *testing.T, in string) {
		changes, _ := readChanges(strings.NewReader(in))
		for _, c := range changes {
			if !strings.HasPrefix(c.Path, "/") || strings.Contains(c.Path, "\x00") {
				t.Errorf("path %q", c.Path)
			}
		}
	})
}
