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
