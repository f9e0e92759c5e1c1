package device

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// The kinds of share, which are also the names of their file systems.
const (
	Virtiofs = "virtiofs"
	NineP    = "9p"
)

// shareTags returns where the kernel lists the tags of a kind: a directory of
// devices and the file in each that holds the tag.
func shareTags(kind string) (dir, file string, known bool) {
	switch kind {
	case Virtiofs:
		return "/sys/fs/virtiofs", "tag", true // since Linux 6.9
	case NineP:
		return "/sys/bus/virtio/drivers/9pnet_virtio", "mount_tag", true
	}
	return "", "", false
}

// FindShare waits for the share with the given tag. A kind the kernel has no list
// for is not waited for.
func FindShare(ctx context.Context, kind, tag string) error {
	dir, file, known := shareTags(kind)
	if !known {
		return fmt.Errorf("unknown kind of share %q", kind)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil //nolint:nilerr // an older kernel: the mount will tell
	}
	err := Events{}.Until(ctx, func() bool { return hasTag(dir, file, tag) })
	if err != nil {
		return fmt.Errorf("%s share %q: %w", kind, tag, err)
	}
	return nil
}

func hasTag(dir, file, tag string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		b, err := os.ReadFile(dir + "/" + e.Name() + "/" + file)
		// mount_tag ends in a zero byte.
		if err == nil && strings.TrimRight(string(b), "\x00\n") == tag {
			return true
		}
	}
	return false
}
