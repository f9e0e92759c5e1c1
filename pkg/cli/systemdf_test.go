package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func (e *fakeEngine) DiskUsage(context.Context) (*engine.DiskUsage, error) {
	id := func(c string) string { return strings.Repeat(c, 64) }
	made := testNow.Add(-50 * time.Hour)
	return &engine.DiskUsage{
		Images: engine.ImagesUsage{TotalBytes: 3_000_000, ReclaimableBytes: 1_000_000, Images: []engine.ImageUsage{
			{ID: id("a"), Names: []string{"localhost/app:1", "localhost/app:2"}, Created: made, SharedBytes: 1_500_000, UniqueBytes: 500_000, Containers: 1},
			{ID: id("b"), Created: made, SharedBytes: 1_500_000, UniqueBytes: 1_000_000},
		}},
		Containers: []engine.Listed{
			{Container: container.Container{Spec: container.Spec{ID: id("c"), Name: "web", Created: made, Image: container.Image{Name: "localhost/app:1"}, Process: container.Process{Command: []string{"serve", "\x1b"}}}},
				Live: engine.Live{State: "running"}, Size: &engine.Size64{Writable: 4_000_000}},
			{Container: container.Container{Spec: container.Spec{ID: id("d"), Name: "db", Created: made}, Record: container.Record{State: container.Exited}}, Size: &engine.Size64{Writable: 1_000_000}},
		},
		Disks: []engine.DiskOfImage{
			{ImageDisk: engine.ImageDisk{ImageID: id("a"), SizeBytes: 2_500_000, Made: made}, Names: []string{"localhost/app:1"}, Containers: 1},
			{ImageDisk: engine.ImageDisk{ImageID: id("e"), SizeBytes: 7_500_000, Made: made}},
		},
		Templates: []engine.Template{{Key: "0123456789abcdef", Board: "q35", Accel: "tcg", Network: "user", DiskBytes: 50_000_000, Made: made, Used: testNow.Add(-time.Hour)}},
	}, nil
}

func TestSystemDfGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"verbose", []string{"-v"}},
		{"json", []string{"--format", "json"}},
		{"format", []string{"--format", "{{.Type}} {{.Total}} {{.TotalCount}} {{.Active}} {{.Size}} {{.RawSize}} {{.Reclaimable}} {{.RawReclaimable}}"}},
		{"format-json", []string{"--format", "{{json .}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			if code := a.run(t, append([]string{"system", "df"}, tt.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "df/"+tt.name+".txt", a.out.String())
		})
	}
	a := newTestApp(t)
	if code := a.run(t, "system", "df", "-v", "--format", "json"); code != 125 {
		t.Errorf("--verbose with --format: exit code %d, want 125", code)
	}
}
