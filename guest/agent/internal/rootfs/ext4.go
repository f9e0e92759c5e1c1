package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/device"
)

// ext4IocResizeFS is EXT4_IOC_RESIZE_FS of fs/ext4/ext4.h, _IOW('f', 16, __u64).
const ext4IocResizeFS = 0x40086610

// The superblock of ext4, Documentation/filesystems/ext4/super.rst: offsets of the
// fields read here.
const (
	superOffset   = 1024
	superSize     = 1024
	sbBlocksLow   = 0x4
	sbLogBlock    = 0x18
	sbMagic       = 0x38
	sbIncompat    = 0x60
	sbBlocksHigh  = 0x150
	ext4Magic     = 0xEF53
	incompat64Bit = 0x80
)

// A file system is grown when its disk is larger by an eighth: one small formatted
// image serves disks of all sizes. Less is what ext4 keeps for itself, which is
// not counted in what it says of its size.
const growthFraction = 8

// wantsGrowth returns the number of blocks the file system of d, mounted at dir, is
// to be grown to, 0 when it fills its disk.
func wantsGrowth(d device.Disk, dir string) (blocks uint64, err error) {
	size, err := d.SizeBytes()
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", d.Path(), err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("size of the file system on %s: %w", d.Path(), err)
	}
	if uint64(size) < st.Blocks*uint64(st.Bsize)*(growthFraction+1)/growthFraction {
		return 0, nil
	}
	f, err := os.Open(d.Path())
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	super := make([]byte, superSize)
	if _, err := f.ReadAt(super, superOffset); err != nil {
		return 0, fmt.Errorf("read the superblock of %s: %w", d.Path(), err)
	}
	have, blockSize, err := parseSuper(super)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.Path(), err)
	}
	want := uint64(size) / blockSize
	if want <= have+have/growthFraction {
		return 0, nil
	}
	// A machine restored from a template may believe its disk to be as large as
	// the template's. What cannot be read is not there.
	if _, err := f.ReadAt(make([]byte, 512), int64(want*blockSize)-512); err != nil {
		return 0, nil //nolint:nilerr // the disk is smaller than it says
	}
	return want, nil
}

// parseSuper returns the size of a file system in blocks, and that of a block in
// bytes.
func parseSuper(b []byte) (blocks, blockSize uint64, err error) {
	if binary.LittleEndian.Uint16(b[sbMagic:]) != ext4Magic {
		return 0, 0, errors.New("no ext4 file system")
	}
	logBlock := binary.LittleEndian.Uint32(b[sbLogBlock:])
	if logBlock > 6 {
		return 0, 0, fmt.Errorf("block size 2^%d is beyond ext4's", 10+uint64(logBlock))
	}
	blocks = uint64(binary.LittleEndian.Uint32(b[sbBlocksLow:]))
	if binary.LittleEndian.Uint32(b[sbIncompat:])&incompat64Bit != 0 {
		blocks |= uint64(binary.LittleEndian.Uint32(b[sbBlocksHigh:])) << 32
	}
	return blocks, 1024 << logBlock, nil
}

// resize grows the file system mounted at dir.
func resize(dir string, blocks uint64) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ext4IocResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return errno
	}
	return nil
}
