package device

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sysBlock is where the kernel lists block devices.
const sysBlock = "/sys/block"

// Disk is a virtio-blk disk.
type Disk struct {
	Name string // as "vda"
}

// Path returns the disk's device node.
func (d Disk) Path() string { return "/dev/" + d.Name }

// SizeBytes returns the disk's capacity, which the host may change.
func (d Disk) SizeBytes() (int64, error) {
	b, err := os.ReadFile(sysBlock + "/" + d.Name + "/size")
	if err != nil {
		return 0, err
	}
	sectors, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return sectors * 512, err
}

// FindDisk waits for the disk with the given serial number.
func FindDisk(ctx context.Context, serial string) (Disk, error) {
	var d Disk
	err := Events{}.Until(ctx, func() bool {
		d = diskWithSerial(sysBlock, serial)
		return d.Name != ""
	})
	if err != nil {
		return Disk{}, fmt.Errorf("disk with serial number %q: %w", serial, err)
	}
	return d, nil
}

// diskWithSerial asks every virtio-blk disk for its serial number; the device
// answers anew each time, so that a machine restored with other disks behind the
// same devices finds those.
func diskWithSerial(dir, serial string) Disk {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Disk{}
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "vd") {
			continue
		}
		b, err := os.ReadFile(dir + "/" + e.Name() + "/serial")
		if err == nil && strings.TrimSpace(string(b)) == serial {
			return Disk{Name: e.Name()}
		}
	}
	return Disk{}
}
