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

// shareTags is where the kernel lists the tags of each kind, as glob patterns'
// two halves: a directory of devices and the file in each that holds the tag.
var shareTags = map[string][2]string{
	Virtiofs: {"/sys/fs/virtiofs", "tag"}, // since Linux 6.9
	NineP:    {"/sys/bus/virtio/drivers/9pnet_virtio", "mount_tag"},
}

// FindShare waits for the share with the given tag. A kind the kernel has no list
// for is not waited for.
func FindShare(ctx context.Context, kind, tag string) error {
	at, known := shareTags[kind]
	if !known {
		return fmt.Errorf("unknown kind of share %q", kind)
	}
	if _, err := os.Stat(at[0]); err != nil {
		return nil //nolint:nilerr // an older kernel: the mount will tell
	}
	err := Events{}.Until(ctx, func() bool { return hasTag(at[0], at[1], tag) })
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
