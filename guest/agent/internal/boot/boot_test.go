package boot

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	bad := errors.New("bad")
	for _, tt := range []struct {
		name     string
		required bool
		wantErr  bool
		wantDone string
	}{
		{"required row fails", true, true, "a"},
		{"optional row fails", false, false, "a c"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var done, logged []string
			step := func(name string) Row {
				return Row{name, true, func() error { done = append(done, name); return nil }}
			}
			err := Run([]Row{step("a"), {"b", tt.required, func() error { return bad }}, step("c")},
				func(f string, a ...any) { logged = append(logged, fmt.Sprintf(f, a...)) })
			if errors.Is(err, bad) != tt.wantErr {
				t.Errorf("Run = %v, want error: %t", err, tt.wantErr)
			}
			if got := strings.Join(done, " "); got != tt.wantDone {
				t.Errorf("done: %q, want %q", got, tt.wantDone)
			}
			if !tt.wantErr && (len(logged) != 1 || !strings.Contains(logged[0], "b (optional): bad")) {
				t.Errorf("logged %q", logged)
			}
		})
	}
}

func TestRowsPrintThemselves(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range Rows() {
		if s := r.String(); s == "" || seen[s] {
			t.Errorf("row %q is nameless or named twice", s)
		}
		seen[r.String()] = true
	}
	if !seen["mount cgroup2 on /sys/fs/cgroup"] {
		t.Errorf("no row for control groups: %v", seen)
	}
}
