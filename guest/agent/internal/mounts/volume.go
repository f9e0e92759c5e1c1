package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxVolumes bounds what MakeVolumes makes.
const maxVolumes = 256

// MakeVolumes makes the directories an image declares as volumes where the root
// entered does not have them; new ones belong to uid and gid, as Podman's do. With
// keepWritable they stay writable when the root becomes read-only. It runs after
// the mounts, so that one on a tmpfs is made there, on a thread whose umask is 0.
func MakeVolumes(volumes []string, uid, gid uint32, keepWritable bool) error {
	if len(volumes) > maxVolumes {
		return fmt.Errorf("%d volumes, at most %d", len(volumes), maxVolumes)
	}
	for _, v := range slices.Sorted(slices.Values(volumes)) { // one in another after that
		if err := makeVolume(v, uid, gid, keepWritable); err != nil {
			return fmt.Errorf("volume %s of the image: %w", v, err)
		}
	}
	return nil
}

func makeVolume(volume string, uid, gid uint32, keepWritable bool) error {
	if !path.IsAbs(volume) || strings.ContainsRune(volume, 0) {
		return errors.New("not an absolute path")
	}
	dir, err := resolve(volume) // nothing else runs in this root yet
	if err != nil || dir == "/" {
		return err
	}
	switch st, err := os.Lstat(dir); {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Chown(dir, int(uid), int(gid)); err != nil {
			return fmt.Errorf("owner: %w", err)
		}
	case err != nil:
		return err
	case !st.IsDir():
		return unix.ENOTDIR
	}
	if !keepWritable {
		return nil
	}
	// A mount of its own: what makes the root read-only does not reach it.
	tree, err := openTree(dir, true)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	if err := setTreeAttr(tree, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, 0); err != nil {
		return err
	}
	return attach(tree, dir)
}
