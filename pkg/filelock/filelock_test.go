package filelock

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestLockLife(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	if held, err := Held(path); held || err != nil {
		t.Fatalf("Held of a missing file = %t, %v; want false", held, err)
	}
	f, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := Held(path); !held || err != nil {
		t.Errorf("Held = %t, %v; want true", held, err)
	}
	if _, err := TryLock(path); !errors.Is(err, ErrHeld) {
		t.Errorf("second TryLock: %v, want ErrHeld", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock: %v, want a deadline", err)
	}
	f.Close()
	if held, _ := Held(path); held {
		t.Error("still held after Close")
	}
}

// A lock file that was removed after it was opened keeps nobody out: it must not
// count as taken.
func TestRemovedFileIsNotLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	for _, tt := range []struct {
		name string
		then func() error // after the file was removed
		want error
	}{
		{"gone", func() error { return nil }, os.ErrNotExist},
		{"made anew", func() error { return os.WriteFile(path, nil, 0o600) }, ErrHeld},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := errors.Join(os.Remove(path), tt.then()); err != nil {
				t.Fatal(err)
			}
			if err := take(f, path); !errors.Is(err, tt.want) {
				t.Errorf("take = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAwaitFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	if err := AwaitFree(t.Context(), path); err != nil {
		t.Errorf("AwaitFree of a missing file: %v", err)
	}
	f, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := AwaitFree(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("AwaitFree: %v, want a deadline", err)
	}
	time.AfterFunc(20*time.Millisecond, func() { f.Close() })
	if err := AwaitFree(t.Context(), path); err != nil {
		t.Errorf("AwaitFree: %v", err)
	}
}

// The lock must outlive the process that took it when a child inherited it, and
// end with the child.
func TestLockPassesToChild(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l")
	f, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{f}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if held, err := Held(path); !held || err != nil {
		t.Errorf("with a child: Held = %t, %v; want true", held, err)
	}
	io.WriteString(in, "x")
	in.Close()
	cmd.Wait()
	if held, err := Held(path); held || err != nil {
		t.Errorf("after the child: Held = %t, %v; want false", held, err)
	}
}
