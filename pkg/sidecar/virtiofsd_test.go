package sidecar

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestVirtiofsdArgs(t *testing.T) {
	tests := []struct {
		name   string
		config VirtiofsdConfig
	}{
		{name: "plain", config: VirtiofsdConfig{Dir: "/srv/share", OpenFile: 10000}},
		{name: "separators", config: VirtiofsdConfig{Dir: `/srv/a,b\c`, Cache: "always", OpenFile: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			golden(t, "virtiofsd-"+tt.name+".args", argLines(VirtiofsdArgs(tt.config)))
		})
	}
}

func TestStartVirtiofsd(t *testing.T) {
	path, err := FindVirtiofsd("")
	if err != nil {
		t.Skip(err)
	}
	if os.Geteuid() != 0 {
		t.Skip("virtiofsd runs as root, here or in a user namespace")
	}
	s := newSpawner(t)
	dir := t.TempDir()
	socket := filepath.Join(t.TempDir(), strings.Repeat("long", 40), "fs.sock")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil {
		t.Fatal(err)
	}
	v, err := StartVirtiofsd(t.Context(), s, path, VirtiofsdConfig{Dir: dir}, socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	// VHOST_USER_GET_FEATURES: request 1, version 1, no payload.
	if _, err := v.Socket.Write([]byte{1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 20)
	fds := []unix.PollFd{{Fd: int32(v.Socket.Fd()), Events: unix.POLLIN}}
	if n, err := unix.Poll(fds, 10_000); n != 1 {
		t.Fatalf("no answer: %v; stderr: %s", err, v.Stderr())
	}
	if _, err := io.ReadFull(v.Socket, answer); err != nil || answer[0] != 1 {
		t.Errorf("answer = %x, %v", answer, err)
	}
	v.Socket.Close()
	within(t, v.Done(), "end of virtiofsd after QEMU's")
	if err := v.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartVirtiofsdErrors(t *testing.T) {
	s := newSpawner(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, binary, share, want string
	}{
		{name: "no binary", binary: "/no/such/virtiofsd", share: dir, want: "start virtiofsd: "},
		{name: "no directory", binary: "/bin/true", share: filepath.Join(dir, "missing"), want: "no such file"},
		{name: "a file", binary: "/bin/true", share: file, want: "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "fs.sock")
			_, err := StartVirtiofsd(t.Context(), s, tt.binary, VirtiofsdConfig{Dir: tt.share}, socket)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("StartVirtiofsd = %v, want %q in it", err, tt.want)
			}
			if _, err := os.Lstat(socket); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the socket is still there: %v", err)
			}
		})
	}
	v, err := StartVirtiofsd(t.Context(), s, "/bin/false", VirtiofsdConfig{Dir: dir}, filepath.Join(dir, "fs.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Socket.Close()
	select {
	case <-v.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("still runs")
	}
	var exit *ExitError
	if err := v.Wait(t.Context()); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("Wait = %v", err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o755, "data": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		dirs   []string
		places []string
		want   string
	}{
		{name: "tool", dirs: []string{"relative", "", dir}, want: filepath.Join(dir, "tool")},
		{name: "tool", dirs: []string{dir}, places: []string{"/bin/sh"}, want: "/bin/sh"},
		{name: "data", dirs: []string{dir}, places: []string{"/nowhere/data"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := find(tt.name, "pkg", tt.dirs, tt.places...)
			var missing *NotFoundError
			if got != tt.want || (tt.want == "") != errors.As(err, &missing) {
				t.Errorf("find = %q, %v; want %q", got, err, tt.want)
			}
			if missing != nil && !strings.Contains(missing.Error(), "apt-get install pkg") {
				t.Errorf("error %q does not say what to install", missing)
			}
		})
	}
}
