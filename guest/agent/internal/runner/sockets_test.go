package runner

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vpod/pkg/agentproto"
)

// socketContainer is a container that has nothing but a directory.
func socketContainer(t *testing.T) *Container {
	t.Helper()
	dir, err := os.MkdirTemp("", "vs") // short: unix socket names have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := &Container{ID: strings.Repeat("a", 64), runner: &Runner{dir: dir}}
	if err := os.Mkdir(c.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.closeSockets)
	return c
}

func own(path string) agentproto.Socket {
	return agentproto.Socket{Path: path, Mode: 0o640, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}

func TestSockets(t *testing.T) {
	c := socketContainer(t)
	bound, err := c.listen([]agentproto.Socket{own("/a"), own("/b")})
	if err != nil || len(bound) != 2 || bound[1].Path != "/b" {
		t.Fatalf("listen = %v, %v", bound, err)
	}
	info, err := os.Stat(bound[1].Source)
	if err != nil || info.Mode() != os.ModeSocket|0o640 {
		t.Errorf("%s is %v, %v; want a socket of mode 0640", bound[1].Source, info, err)
	}
	program, err := net.Dial("unix", bound[1].Source)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	conn, err := c.Accept(1)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := program.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Errorf("the connection to /b does not come from it: %v", err)
	}

	var refused *agentproto.Error
	for _, number := range []int{-1, 2} {
		if _, err := c.Accept(number); !errors.As(err, &refused) || refused.Code != agentproto.ErrBadRequest {
			t.Errorf("Accept(%d) = %v", number, err)
		}
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Accept(0)
		waiting <- err
	}()
	c.closeSockets()
	if err := <-waiting; !errors.As(err, &refused) {
		t.Errorf("Accept at the container's end = %v", err)
	}
	if left, _ := filepath.Glob(c.dir() + "/*"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestTooManySockets(t *testing.T) {
	c := socketContainer(t)
	if _, err := c.listen(make([]agentproto.Socket, agentproto.MaxSockets+1)); err == nil {
		t.Error("no error")
	}
}
