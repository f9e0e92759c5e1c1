package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

func (e *fakeEngine) MountImages(_ context.Context, names []string, all bool) ([]engine.MountedImage, error) {
	e.called(fmt.Sprint("mount images ", names, all))
	return e.MountedImages(context.Background())
}

func (e *fakeEngine) MountedImages(context.Context) ([]engine.MountedImage, error) {
	return []engine.MountedImage{{ID: "1", Names: []string{"localhost/a:1"}, Path: "/m/a"}, {ID: "2", Path: "/m/b"}}, nil
}

func (e *fakeEngine) UnmountImages(_ context.Context, names []string, all, force bool) ([]string, error) {
	e.called(fmt.Sprint("unmount images ", names, all, force))
	return []string{"1"}, nil
}

func TestImageMount(t *testing.T) {
	tests := []struct {
		args, call, out string
		code            int
	}{
		{"mount", "", "localhost/a:1  /m/a\n2              /m/b\n", 0},
		{"mount a", "mount images [a] false", "/m/a\n", 0},
		{"mount a b", "mount images [a b] false", "localhost/a:1  /m/a\n2              /m/b\n", 0},
		{"mount --all", "mount images [] true", "localhost/a:1  /m/a\n2              /m/b\n", 0},
		{"mount --all a", "", "", 125},
		{"unmount a", "unmount images [a] false false", "1\n", 0},
		{"umount -af", "unmount images [] true true", "1\n", 0},
		{"unmount", "", "", 125},
		{"unmount --all a", "", "", 125},
	}
	for _, tt := range tests {
		a := newTestApp(t)
		if code := a.run(t, append([]string{"image"}, strings.Fields(tt.args)...)...); code != tt.code || a.out.String() != tt.out {
			t.Errorf("%s: exit code %d, output %q, want %d and %q: %s", tt.args, code, a.out.String(), tt.code, tt.out, a.err.String())
		}
		if tt.call != "" && !slices.Contains(a.engine.calls, tt.call) {
			t.Errorf("%s: calls %q, want %q", tt.args, a.engine.calls, tt.call)
		}
		if a.entered != 0 {
			t.Errorf("%s enters the user namespace", tt.args)
		}
	}
	a := newTestApp(t)
	a.run(t, "image", "mount", "--format", "json")
	golden(t, "images/mount.txt", a.out.String())
}
