package bundle

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSockets(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(name, 0o620); err != nil {
		t.Fatal(err)
	}
	p := &Plan{
		Binds:  []Bind{{Source: dir, Destination: "/dir"}, {Source: name, Destination: "/run/s"}, {Source: filepath.Join(dir, "none"), Destination: "/none"}},
		Hidden: []Bind{{Source: name, Destination: "/dev/s"}, {Source: dir, Destination: "/dev/dir"}},
	}
	files, err := p.Sockets("/placeholder")
	if err != nil || len(files) != 2 {
		t.Fatalf("Sockets = %v, %v; want two", files, err)
	}
	defer closeAll(files)
	if got := []string{p.Binds[0].Source, p.Binds[1].Source, p.Binds[2].Source}; got[0] != dir || got[1] != "/placeholder" || got[2] == "/placeholder" {
		t.Errorf("bound are %q", got)
	}
	if len(p.Hidden) != 1 || p.Hidden[0].Destination != "/dev/dir" {
		t.Errorf("hidden are %+v, want the directory", p.Hidden)
	}
	if s := p.Guest.Sockets; len(s) != 2 || s[0].Path != "/run/s" || s[1].Path != "/dev/s" || s[0].Mode != 0o620 || s[0].UID != uint32(os.Getuid()) {
		t.Errorf("the guest's sockets are %+v", s)
	}
}

func TestTooManySockets(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &Plan{}
	for range 17 {
		p.Binds = append(p.Binds, Bind{Source: name, Destination: "/s"})
	}
	if _, err := p.Sockets("/placeholder"); err == nil || !strings.Contains(err.Error(), "up to 16") {
		t.Errorf("Sockets = %v", err)
	}
}
