// Package machine gives the guest what it cannot know by itself: the time,
// randomness of its own, a name, and its place in the network.
//
// Setup is called once per start of a container that brings agentproto.Machine,
// and after the restore of a saved machine, which must not be its twin's twin.
package machine

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// Setup does what m says, but for the network, which is SetupNICs' affair.
func Setup(m *agentproto.Machine) error {
	if len(m.Entropy) > 0 {
		if err := addEntropy(m.Entropy); err != nil {
			return fmt.Errorf("add entropy: %w", err)
		}
	}
	if m.TimeUnixNano != 0 {
		ts := unix.NsecToTimespec(wallClock(m))
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
			return fmt.Errorf("set clock to %s: %w", time.Unix(0, m.TimeUnixNano).UTC().Format(time.RFC3339), err)
		}
	}
	if m.Hostname != "" {
		if err := unix.Sethostname([]byte(m.Hostname)); err != nil {
			return fmt.Errorf("set host name %q: %w", m.Hostname, err)
		}
	}
	return nil
}

// wallClock is the time now. What m says of it may have been on its way for long: a
// restored machine is slow at first, and the host busy.
func wallClock(m *agentproto.Machine) int64 {
	if m.ClockNanos == 0 {
		return m.TimeUnixNano
	}
	return m.TimeUnixNano + max(MonotonicNanos()-m.ClockNanos, 0)
}

// MonotonicNanos is the guest's monotonic clock, which stands still while the
// machine does.
func MonotonicNanos() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0 // cannot be: the clock is always there
	}
	return ts.Nano()
}

// linux/random.h: _IOW('R', 0x03, int[2]) and _IO('R', 0x07).
const (
	rndAddEntropy   = 0x40085203
	rndReseedCRNG   = 0x5207
	maxEntropyBytes = 4096
)

// addEntropy mixes seed in, credits it, and makes the kernel use it at once.
func addEntropy(seed []byte) error {
	if len(seed) > maxEntropyBytes {
		return fmt.Errorf("%d bytes, at most %d", len(seed), maxEntropyBytes)
	}
	fd, err := unix.Open("/dev/urandom", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	// struct rand_pool_info: bits to credit, length, bytes.
	info := make([]byte, 8, 8+len(seed))
	binary.NativeEndian.PutUint32(info, uint32(8*len(seed)))
	binary.NativeEndian.PutUint32(info[4:], uint32(len(seed)))
	info = append(info, seed...)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), rndAddEntropy, uintptr(unsafe.Pointer(&info[0]))); errno != 0 {
		return errno
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), rndReseedCRNG, 0); errno != 0 {
		return errno
	}
	return nil
}
