package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// answering listens at name and answers each connection, once it has been told all,
// with who it is and what it was told.
func answering(t *testing.T, name, who string) {
	t.Helper()
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				told, _ := io.ReadAll(conn)
				_, _ = conn.Write(append([]byte(who+" heard "), told...))
			}()
		}
	}()
}

// A guest that can write where the socket is does not choose another one.
func TestCarryConnection(t *testing.T) {
	dir := t.TempDir()
	name, other := filepath.Join(dir, "s"), filepath.Join(dir, "other")
	answering(t, name, "the bound one")
	answering(t, other, "another")
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, name); err != nil {
		t.Fatal(err)
	}
	host, guest := unixPair(t)
	carried := make(chan error, 1)
	go func() { carried <- carryConnection(t.Context(), host, f) }()
	if _, err := guest.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := guest.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(guest)
	if err != nil || string(answer) != "the bound one heard hello" {
		t.Errorf("answer %q, %v", answer, err)
	}
	if err := <-carried; err != nil {
		t.Error(err)
	}
}

func TestCarryConnectionToNobody(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	host, guest := unixPair(t)
	if err := carryConnection(t.Context(), host, f); err == nil {
		t.Error("no error")
	}
	if _, err := guest.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the guest's end reads %v, want the end", err)
	}
}
