package device

import (
	"context"
	"fmt"
	"os"
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

// FindDisks waits for the disks with the given serial numbers, in one go: the
// device is asked for its number each time, which takes a while.
func FindDisks(ctx context.Context, serials ...string) ([]Disk, error) {
	disks := make([]Disk, len(serials))
	missing := ""
	err := Events{}.Until(ctx, func() bool {
		missing = findDisks(sysBlock, serials, disks)
		return missing == ""
	})
	if err != nil {
		return nil, fmt.Errorf("disk with serial number %q: %w", missing, err)
	}
	return disks, nil
}

// findDisks asks virtio-blk disks for their serial numbers until it knows all
// that are wanted, and returns one it has not found, or "". The device answers
// anew each time, so that a machine restored with other disks behind the same
// devices finds those.
func findDisks(dir string, serials []string, disks []Disk) (missing string) {
	clear(disks)
	left := len(serials)
	// The kernel names them in order; where one is gone others may follow.
	const most = 26
	for letter := byte('a'); letter < 'a'+most && left > 0; letter++ {
		name := "vd" + string(letter)
		b, err := os.ReadFile(dir + "/" + name + "/serial")
		if err != nil {
			continue
		}
		serial := strings.TrimSpace(string(b))
		for i, want := range serials {
			if want == serial && disks[i].Name == "" {
				disks[i].Name = name
				left--
			}
		}
	}
	for i, d := range disks {
		if d.Name == "" {
			return serials[i]
		}
	}
	return ""
}
