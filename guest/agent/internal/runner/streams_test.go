package runner

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestPipes(t *testing.T) {
	s, err := openPipes(true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.in.WriteString("in"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if n, _ := unix.Read(s.child[0], b); string(b[:n]) != "in" {
		t.Errorf("the child read %q", b[:n])
	}
	if _, err := unix.Write(s.child[2], []byte("error")); err != nil {
		t.Fatal(err)
	}
	s.closeChild()
	if b, err := io.ReadAll(s.out[1]); string(b) != "error" || err != nil {
		t.Errorf("standard error = %q, %v", b, err)
	}
	if b, err := io.ReadAll(s.out[0]); len(b) > 0 || err != nil {
		t.Errorf("standard output = %q, %v", b, err)
	}
}

func TestClosedInputIsEmpty(t *testing.T) {
	s, err := openPipes(false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if n, err := unix.Read(s.child[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("read = %d, %v; want the end", n, err)
	}
}

func TestTerminal(t *testing.T) {
	pts, err := unix.Open("/dev/pts", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("needs /dev/pts: %v", err)
	}
	defer func() { _ = unix.Close(pts) }()
	s, path, err := openTerminal(pts, &specs.Box{Height: 33, Width: 99}, true)
	if err != nil {
		t.Skipf("needs a pseudo terminal: %v", err)
	}
	defer s.close()
	if path != "" && !strings.HasPrefix(path, "/dev/pts/") {
		t.Errorf("path = %q", path)
	}
	ws, err := unix.IoctlGetWinsize(s.child[0], unix.TIOCGWINSZ)
	if err != nil || ws.Row != 33 || ws.Col != 99 {
		t.Errorf("size = %+v, %v", ws, err)
	}
	// A line, then the end of input, as a reader in the terminal sees them.
	if _, err := s.in.WriteString("line\n"); err != nil {
		t.Fatal(err)
	}
	if err := endOfFile(s.in); err != nil {
		t.Fatal(err)
	}
	slave := os.NewFile(uintptr(s.child[0]), "slave")
	defer func() { _ = slave.Close() }()
	var got []string
	for {
		b := make([]byte, 64)
		n, err := unix.Read(int(slave.Fd()), b)
		if n == 0 || err != nil {
			break
		}
		got = append(got, string(b[:n]))
	}
	if strings.Join(got, "|") != "line\n" {
		t.Errorf("read %q, then the end; want one line", got)
	}
	_ = s.out[0].SetReadDeadline(time.Now().Add(time.Second))
	b := make([]byte, 64)
	if n, err := s.out[0].Read(b); !strings.HasPrefix(string(b[:n]), "line") {
		t.Errorf("echo = %q, %v", b[:n], err)
	}
}
