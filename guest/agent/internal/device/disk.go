package device

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// sysBlock is where the kernel lists block devices.
const sysBlock = "/sys/block"

// Disk is a virtio-blk disk.
type Disk struct {
	Name string // as "vda"
}

// Path returns the disk's device node.
func (d Disk) Path() string { return "/dev/" + d.Name }

// Disks finds disks and remembers where it has found them. The zero value knows none.
type Disks struct {
	mu    sync.Mutex
	known map[string]place // by serial number
}

// place is where a disk was found: its node's inode tells it from another disk that
// has got the same name since.
type place struct {
	name string
	node uint64
}

// Find waits for the disks with the given serial numbers, in one go: the device is
// asked for its number the first time, which takes a while. A machine restored from
// a template finds other disks behind the same devices, with the same numbers.
func (d *Disks) Find(ctx context.Context, serials ...string) ([]Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	disks := make([]Disk, len(serials))
	if d.recall(serials, disks) {
		return disks, nil
	}
	missing := ""
	err := Events{}.Until(ctx, func() bool {
		missing = findDisks(sysBlock, serials, disks)
		return missing == ""
	})
	if err != nil {
		return nil, fmt.Errorf("disk with serial number %q: %w", missing, err)
	}
	d.known = make(map[string]place)
	for i, disk := range disks {
		if node, ok := disk.node(); ok {
			d.known[serials[i]] = place{disk.Name, node}
		}
	}
	return disks, nil
}

// recall fills in the disks that were found before, and reports whether these are all.
func (d *Disks) recall(serials []string, disks []Disk) bool {
	for i, serial := range serials {
		was, ok := d.known[serial]
		disks[i].Name = was.name
		if node, there := disks[i].node(); !ok || !there || node != was.node {
			return false
		}
	}
	return true
}

// node returns the inode number of the disk's device node.
func (d Disk) node() (inode uint64, ok bool) {
	var st unix.Stat_t
	err := unix.Stat(d.Path(), &st)
	return st.Ino, err == nil
}

// findDisks asks virtio-blk disks for their serial numbers until it knows all that
// are wanted, and returns one it has not found, or "".
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
