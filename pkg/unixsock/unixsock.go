// Package unixsock listens on and connects to unix sockets whose paths are
// longer than the 107 bytes a socket address holds.
//
// Both ends reach the socket through /proc/self/fd/N of its directory, so any
// home directory will do. The monitor listens, the engine connects.
package unixsock

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// maxPath is the longest path that fits into sockaddr_un with its closing NUL.
const maxPath = 107

// Listen makes the socket at path, replacing a stale one, with mode 0600. The
// caller has made sure that nobody else serves it. Closing the listener does
// not remove the file.
func Listen(path string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	addr, dir, err := address(path)
	if err != nil {
		return nil, err
	}
	if dir != nil {
		defer dir.Close()
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: addr, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("protect socket: %w", err)
	}
	return l, nil
}

// Dial connects to the socket at path.
func Dial(ctx context.Context, path string) (*net.UnixConn, error) {
	addr, dir, err := address(path)
	if err != nil {
		return nil, err
	}
	if dir != nil {
		defer dir.Close()
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return conn.(*net.UnixConn), nil
}

// address returns a name for path that fits, and the open directory it leads
// through, which must stay open while the name is used; nil when path fits.
func address(path string) (string, *os.File, error) {
	if len(path) <= maxPath {
		return path, nil, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open directory of socket %s: %w", path, err)
	}
	dir := os.NewFile(uintptr(fd), filepath.Dir(path))
	return "/proc/self/fd/" + strconv.Itoa(fd) + "/" + filepath.Base(path), dir, nil
}
