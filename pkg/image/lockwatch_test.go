package image

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFindHolder(t *testing.T) {
	const text = `1: POSIX  ADVISORY  READ 10 fd:00:100 0 EOF
2: FLOCK  ADVISORY  WRITE 11 fd:00:200 0 EOF
2: -> FLOCK  ADVISORY  WRITE 12 fd:00:300 0 EOF
3: OFDLCK ADVISORY  WRITE -1 fd:00:300 0 EOF
4: POSIX  ADVISORY  WRITE 13 fd:00:400 0 EOF
broken line
`
	tests := []struct {
		name string
		file string
		self int
		want int
	}{
		{name: "written to", file: "fd:00:400", want: 13},
		{name: "by us", file: "fd:00:400", self: 13},
		{name: "read", file: "fd:00:100"},
		{name: "only waited for", file: "fd:00:300"},
		{name: "other device", file: "fd:01:400"},
		{name: "not locked", file: "fd:00:500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := findHolder(bufio.NewScanner(strings.NewReader(text)), []string{"ab:cd:9", tt.file}, tt.self)
			if got != tt.want {
				t.Errorf("holder of %s = %d, want %d", tt.file, got, tt.want)
			}
		})
	}
}

// A store that another process holds is waited for, the user is told once and
// after a second, and the wait ends with the context.
func TestWaitForStore(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	lockFile := filepath.Join(s.opts.Root, "vfs-layers", "layers.lock")
	var told atomic.Int32
	var holder atomic.Int32
	s.lock.tell = func(pid int) { told.Add(1); holder.Store(int32(pid)) }

	cmd, release := holdLock(t, lockFile)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Lookup(ctx, "demo:1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lookup of a held store: %v", err)
	}
	if told.Load() != 0 {
		t.Error("told before a second had passed")
	}
	time.AfterFunc(1500*time.Millisecond, release)
	start := time.Now()
	if _, err := s.Lookup(t.Context(), "demo:1"); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("did not wait: %v", took)
	}
	if told.Load() != 1 || int(holder.Load()) != cmd.Process.Pid {
		t.Errorf("told %d times of process %d, want once of %d", told.Load(), holder.Load(), cmd.Process.Pid)
	}
}

// holdLock starts a process that has a file locked for writing.
func holdLock(t *testing.T, path string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "VPOD_TEST_CHILD=lock "+path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd, func() { in.Close() }
}

// lockUntilEOF is the child of holdLock.
func lockUntilEOF(path string) int {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 1
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if unix.FcntlFlock(f.Fd(), unix.F_SETLKW, &lock) != nil {
		return 1
	}
	os.Stdout.WriteString("locked\n")
	os.Stdin.Read(make([]byte, 1))
	return 0
}

func TestOwnTempDir(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "tmp")
	first, err := ownTempDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	// What a killed process leaves.
	for _, path := range []string{"copy-1-0/big", "copy-1-0.lock"} {
		path = filepath.Join(parent, path)
		os.MkdirAll(filepath.Dir(path), 0o700)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second, err := ownTempDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir(parent)
	if len(entries) != 4 || first.path == second.path {
		t.Errorf("entries %v, directories %s and %s", entries, first.path, second.path)
	}
	first.remove()
	second.remove()
	if entries, _ := os.ReadDir(parent); len(entries) != 0 {
		t.Errorf("left: %v", entries)
	}
}
