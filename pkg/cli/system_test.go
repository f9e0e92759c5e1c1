package cli

import (
	"slices"
	"strings"
	"testing"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func TestSystemPrune(t *testing.T) {
	tests := []struct {
		name, args, answer string
		calls              []string // among those made
		without            string   // not among them
	}{
		{"forced", "-f", "", []string{"images  dangling=true containers=false readonly=false", "remove", "prune disks", "prune templates"}, ""},
		{"all", "-af", "", []string{"images  containers=false readonly=false"}, ""},
		{"answered", "", "y\n", []string{"prune templates"}, ""},
		{"refused", "-a", "n\n", nil, "list"},
		{"filtered", "-f --filter until=1h", "", []string{"images  dangling=true until=1h containers=false readonly=false", "prune disks"}, "prune templates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.Stdin = strings.NewReader(tt.answer)
			a.engine.list = []engine.Listed{
				{Container: container.Container{Spec: container.Spec{ID: "1"}, Record: container.Record{State: container.Exited}}, Size: &engine.Size64{Writable: 1_000_000, Root: 9_000_000}},
				{Container: container.Container{Spec: container.Spec{ID: "2"}, Record: container.Record{State: container.Running}}, Live: engine.Live{State: "running"}},
			}
			a.engine.results = func(sel engine.Selection) []engine.Result {
				if !slices.Equal(sel.Names, []string{"1"}) {
					t.Errorf("removes %q", sel.Names)
				}
				return []engine.Result{{Input: "1", ID: "1"}}
			}
			a.engine.images = imageList()[1:2]
			a.engine.removed = func(names []string, _ engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
				return []engine.ImageRemoved{{ID: names[0], Deleted: true, DiskBytes: 2_000_000}}, nil
			}
			a.engine.disks = []engine.ImageDisk{{ImageID: "dd", SizeBytes: 4_000_000}}
			a.engine.templates = templateList()
			if code := a.run(t, append([]string{"system", "prune"}, strings.Fields(tt.args)...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "prune/"+tt.name+".txt", a.err.String()+a.out.String())
			for _, call := range tt.calls {
				if !slices.Contains(a.engine.calls, call) {
					t.Errorf("calls %q, want %q", a.engine.calls, call)
				}
			}
			if tt.without != "" && slices.Contains(a.engine.calls, tt.without) {
				t.Errorf("calls %q, want no %q", a.engine.calls, tt.without)
			}
		})
	}
	a := newTestApp(t)
	if code := a.run(t, "system", "prune"); code != 125 || !strings.Contains(a.err.String(), "--force") || len(a.engine.calls) > 0 {
		t.Errorf("without an answer: exit code %d, calls %q, %q", code, a.engine.calls, a.err.String())
	}
}
