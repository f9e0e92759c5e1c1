package tree

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Requests of ioctl(2), from <linux/fs.h>.
const (
	fiFreeze = 0xC0045877
	fiThaw   = 0xC0045878
)

// Freeze writes the file system at dir to its disk and keeps everybody from changing
// it until thaw is called, once. Whoever writes waits for that long, and cannot be
// killed.
func Freeze(dir string) (thaw func() error, err error) {
	fd, err := openDir(unix.AT_FDCWD, dir)
	if err != nil {
		return nil, fmt.Errorf("freeze: open %s: %w", dir, err)
	}
	if err := unix.IoctlSetInt(fd, fiFreeze, 0); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("freeze the file system: %w", err)
	}
	return func() error {
		defer func() { _ = unix.Close(fd) }()
		if err := unix.IoctlSetInt(fd, fiThaw, 0); err != nil {
			return fmt.Errorf("thaw the file system: %w", err)
		}
		return nil
	}, nil
}
