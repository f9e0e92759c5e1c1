package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMount(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			s := newStore(t, driver)
			img := pullDemo(t, s, "localhost/demo:1")
			path, unmount, err := s.Mount(t.Context(), img.ID)
			if err != nil {
				t.Fatal(err)
			}
			if data, err := os.ReadFile(filepath.Join(path, "etc/passwd")); err != nil || !strings.HasPrefix(string(data), "root:") {
				t.Errorf("read %q, %v", data, err)
			}
			if err := os.WriteFile(filepath.Join(path, "new"), nil, 0o600); driver == "overlay" && err == nil {
				t.Error("an image was written to")
			}
			second, unmountSecond, err := s.Mount(t.Context(), img.ID)
			if err != nil || second != path {
				t.Errorf("second mount at %q, %v", second, err)
			}
			if err := unmount(); err != nil {
				t.Error(err)
			}
			if err := unmount(); err != nil {
				t.Errorf("unmounting twice: %v", err)
			}
			if _, err := os.Stat(filepath.Join(path, "etc/passwd")); err != nil {
				t.Errorf("after one of two unmounts: %v", err)
			}
			if err := unmountSecond(); err != nil {
				t.Error(err)
			}
			assertMounts(t, s, img.ID, 0)
			if _, _, err := s.Mount(t.Context(), "nosuch"); !errors.Is(err, ErrNotFound) {
				t.Errorf("Mount(nosuch): %v", err)
			}
		})
	}
}

// assertMounts fails unless the store counts want mounts of an image.
func assertMounts(t *testing.T, s *Store, imageID string, want int) {
	t.Helper()
	image, err := s.store.Image(imageID)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.store.Mounted(image.TopLayer); err != nil || n != want {
		t.Errorf("the store counts %d mounts, %v; want %d", n, err, want)
	}
	marks, _ := filepath.Glob(filepath.Join(s.opts.RunRoot, "vpod-mounts", imageID+".*"))
	if len(marks) != want {
		t.Errorf("marks left: %q, want %d", marks, want)
	}
}

// A process killed while it has an image mounted leaves a count, which the next
// mount undoes, and the mounts of living processes stay.
func TestMountAfterKill(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			s := newStore(t, driver)
			img := pullDemo(t, s, "localhost/demo:1")
			for range 3 {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "VPOD_TEST_CHILD=mount "+filepath.Dir(s.opts.Root)+" "+driver+" "+img.ID)
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), "mounted") {
					t.Fatalf("child: %v: %s", err, out)
				}
			}
			path, unmount, err := s.Mount(t.Context(), img.ID)
			if err != nil {
				t.Fatal(err)
			}
			assertMounts(t, s, img.ID, 1)
			if _, err := os.Stat(filepath.Join(path, "etc/passwd")); err != nil {
				t.Error(err)
			}
			if err := unmount(); err != nil {
				t.Error(err)
			}
			assertMounts(t, s, img.ID, 0)
			if mounts, _ := os.ReadFile("/proc/self/mounts"); strings.Contains(string(mounts), path) && driver == "overlay" {
				t.Errorf("still mounted: %s", path)
			}
			if _, err := s.Remove(t.Context(), []string{img.ID}, RemoveOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// mountAndDie is the child of TestMountAfterKill.
func mountAndDie(dir, driver, imageID string) int {
	s := Open(Options{Root: filepath.Join(dir, "root"), RunRoot: filepath.Join(dir, "run"), Driver: driver}, slog.New(slog.DiscardHandler))
	if _, _, err := s.Mount(context.Background(), imageID); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("mounted")
	p, _ := os.FindProcess(os.Getpid())
	p.Kill()
	select {}
}

func TestLayer(t *testing.T) {
	for _, driver := range []string{"vfs", "overlay"} {
		t.Run(driver, func(t *testing.T) {
			s := newStore(t, driver)
			img := pullDemo(t, s, "localhost/demo:1")
			id := strings.Repeat("c0", 32)
			if err := s.CreateLayer(t.Context(), id, img.ID, true); err != nil {
				t.Fatal(err)
			}
			path, err := s.MountLayer(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path, "written"), make([]byte, 100000), 0o600); err != nil {
				t.Error(err)
			}
			// The monitor was killed: the count is left. Starting again must not
			// mount it twice.
			again, err := s.MountLayer(t.Context(), id)
			if err != nil || again != path {
				t.Errorf("mounted again at %q, %v", again, err)
			}
			if n, err := s.store.Mounted(id); err != nil || n != 1 {
				t.Errorf("counted %d mounts, %v", n, err)
			}
			if _, err := os.Stat(filepath.Join(path, "written")); err != nil {
				t.Error(err)
			}
			layers, err := s.Layers(t.Context())
			if err != nil || len(layers) != 1 || layers[0].ID != id || layers[0].ImageID != img.ID || !layers[0].Ephemeral {
				t.Errorf("Layers = %+v, %v", layers, err)
			}
			if _, err := s.Remove(t.Context(), []string{"demo:1"}, RemoveOptions{}); !errors.Is(err, ErrInUse) {
				t.Errorf("removing the image of a layer: %v", err)
			}
			if err := s.UnmountLayer(t.Context(), id); err != nil {
				t.Error(err)
			}
			if err := s.UnmountLayer(t.Context(), id); err != nil {
				t.Errorf("unmounting twice: %v", err)
			}
			if err := s.CreateLayer(t.Context(), id, img.ID, false); err == nil {
				t.Error("made two layers of one id")
			}
			if _, err := s.MountLayer(t.Context(), id); err != nil {
				t.Error(err)
			}
			if err := s.DeleteLayer(t.Context(), id); err != nil {
				t.Errorf("deleting a mounted layer: %v", err)
			}
			if err := s.DeleteLayer(t.Context(), id); err != nil {
				t.Errorf("deleting twice: %v", err)
			}
			if _, err := s.MountLayer(t.Context(), id); err == nil {
				t.Error("mounted a deleted layer")
			}
			if _, err := s.Remove(t.Context(), []string{"demo:1"}, RemoveOptions{}); err != nil {
				t.Error(err)
			}
			if err := s.CreateLayer(t.Context(), id, "nosuch", false); !errors.Is(err, ErrNotFound) {
				t.Errorf("a layer over no image: %v", err)
			}
		})
	}
}
