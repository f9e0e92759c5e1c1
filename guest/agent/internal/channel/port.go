// Package channel is the agent's end of the byte stream to the host: it finds
// the virtio-serial port, waits for the host, and gives one Conn per session.
// What runs in a session is package service's affair.
package channel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Port is an open virtio-serial port. Its reads return nothing, without an
// error, while the host is not connected; the kernel wakes a waiting reader when
// that changes, so nobody needs to ask again and again.
type Port struct {
	f   *os.File
	raw syscall.RawConn
}

// OpenPort opens the character device at path.
func OpenPort(path string) (*Port, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &Port{f: f, raw: raw}, nil
}

// read reads what is there, at least a byte. While the host is not connected it
// waits when wait is set, and returns io.EOF when not.
func (p *Port) read(b []byte, wait bool) (n int, err error) {
	var errno error
	err = p.raw.Read(func(fd uintptr) bool {
		for {
			n, errno = unix.Read(int(fd), b)
			if errno != unix.EINTR { //nolint:errorlint // plain errno of a system call
				break
			}
		}
		if errors.Is(errno, unix.EAGAIN) {
			return false
		}
		return n > 0 || errno != nil || !wait
	})
	switch {
	case err != nil:
		return 0, err
	case errno != nil:
		return 0, fmt.Errorf("read %s: %w", p.f.Name(), errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (p *Port) write(b []byte) (int, error) { return p.f.Write(b) }

// interrupt makes reads and writes under way and to come fail, or, with false,
// lets them work again.
func (p *Port) interrupt(on bool) {
	var t time.Time
	if on {
		t = time.Unix(1, 0)
	}
	_ = p.f.SetDeadline(t)
}

// Close closes the port for good.
func (p *Port) Close() error { return p.f.Close() }
