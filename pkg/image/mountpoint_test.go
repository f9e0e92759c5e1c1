package image

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestMountImages(t *testing.T) {
	s := newStore(t, "vfs")
	ctx := t.Context()
	img := pullDemo(t, s, "localhost/demo:1")
	if _, err := s.MountImages(ctx, []string{"localhost/demo:1", "localhost/none:1"}, false); err == nil {
		t.Error("an image that is not there is mounted")
	}
	if list, err := s.MountedImages(ctx); err != nil || len(list) != 0 {
		t.Errorf("mounted after an error: %+v, %v", list, err)
	}
	mounted, err := s.MountImages(ctx, []string{"localhost/demo:1", img.ID}, false)
	if err != nil || len(mounted) != 1 || mounted[0].ID != img.ID {
		t.Fatalf("mounted %+v, %v", mounted, err)
	}
	if text, err := os.ReadFile(filepath.Join(mounted[0].Path, "home/user")); err != nil || string(text) != "mine" {
		t.Errorf("a file of it: %q, %v", text, err)
	}
	if _, err := s.MountImages(ctx, nil, true); err != nil {
		t.Error(err)
	}
	for i, want := range []bool{true, true, false} { // mounted twice
		list, err := s.MountedImages(ctx)
		if err != nil || (len(list) == 1) != want {
			t.Errorf("before unmount %d: %+v, %v", i, list, err)
		}
		ids, err := s.UnmountImages(ctx, []string{img.ID}, false, false)
		if err != nil || slices.Contains(ids, img.ID) != want {
			t.Errorf("unmount %d: %q, %v", i, ids, err)
		}
	}
}
