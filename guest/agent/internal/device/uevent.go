// Package device finds what the machine was given: disks by the serial number of
// their virtio-blk device and shares by their tag, waiting for those that are
// plugged in later.
package device

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Events tells when the kernel has found, changed or lost a device.
type Events struct{}

// recheck bounds how long a change can be missed that comes without an event,
// such as an attribute filled in after its device was announced.
const recheck = 50 * time.Millisecond

// Until calls ready, again after every event, until it reports true or ctx is
// done. When it is true at once nothing else happens.
func (Events) Until(ctx context.Context, ready func() bool) error {
	if ready() {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("listen for device events: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		return fmt.Errorf("listen for device events: %w", err)
	}
	tv := unix.NsecToTimeval(int64(recheck))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("listen for device events: %w", err)
	}
	buf := make([]byte, 4096)
	for !ready() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("not found in time: %w", err)
		}
		_, _ = unix.Read(fd, buf) // what it says does not matter
	}
	return nil
}
