package cli

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/engine"
)

func (e *fakeEngine) ImageHistory(_ context.Context, name string) ([]engine.ImageHistory, error) {
	e.called("history " + name)
	made := testNow.Add(-3 * time.Hour)
	id := strings.Repeat("a", 64)
	return []engine.ImageHistory{
		{ID: id, Created: &made, CreatedBy: "/bin/sh -c #(nop) ENV \x1b[31mX=y\nand a second line that is long", Size: 0, Comment: "FROM\tbase", Tags: []string{"localhost/a:1"}},
		{ID: "<missing>", Created: &made, CreatedBy: "short", Size: 2140160},
		{ID: "<missing>"},
	}, nil
}

func (e *fakeEngine) ImageTree(_ context.Context, name string, children bool) (string, error) {
	if children {
		name += " children"
	}
	e.called("tree " + name)
	return "drawn\n", nil
}

func TestHistoryGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"no-trunc", []string{"--no-trunc"}},
		{"not-human", []string{"--human=false"}},
		{"quiet", []string{"-q"}},
		{"json", []string{"--format", "json"}},
		{"format", []string{"--format", "{{.ID}} {{.Created}} {{.CreatedSince}} {{.CreatedAt}} {{.Size}} {{.Comment}} {{.Tags}}"}},
		{"format-table", []string{"--format", "table {{.ID}} {{.CreatedBy}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			if code := a.run(t, append([]string{"history", "app"}, tt.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "history/"+tt.name+".txt", a.out.String())
		})
	}
}

func TestImageTree(t *testing.T) {
	a := newTestApp(t)
	if code := a.run(t, "image", "tree", "app"); code != 0 || a.out.String() != "drawn\n" {
		t.Errorf("exit code %d, output %q", code, a.out.String())
	}
	a.run(t, "image", "tree", "--whatrequires", "app")
	if want := "tree app children"; !slices.Contains(a.engine.calls, want) {
		t.Errorf("calls %q, want %q", a.engine.calls, want)
	}
}
