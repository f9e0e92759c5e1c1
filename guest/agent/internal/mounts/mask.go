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

// masker hides paths. The zero value is ready.
type masker struct {
	empty string // a directory hidden already, behind an empty file system
}

// mask hides path: a file behind /dev/null, a directory behind an empty one. What
// is not there needs no hiding.
func (m *masker) mask(p string) error {
	var st unix.Stat_t
	err := unix.Stat(p, &st)
	switch {
	case absent(err):
		return nil
	case err != nil:
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		err = unix.Mount("/dev/null", p, "", unix.MS_BIND, "")
	case m.empty != "":
		err = unix.Mount(m.empty, p, "", unix.MS_BIND, "")
	default:
		err = unix.Mount("tmpfs", p, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0,nr_inodes=2")
		m.empty = p
	}
	if err != nil {
		return fmt.Errorf("mask %s: %w", p, err)
	}
	return nil
}

func absent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// readonly makes the tree at path read-only by a mount of itself.
func readonly(p string) error {
	err := unix.Mount(p, p, "", unix.MS_BIND|unix.MS_REC, "")
	if absent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make %s read-only: %w", p, err)
	}
	return setAttr(p, unix.MOUNT_ATTR_RDONLY, 0, true)
}

// checkPaths refuses paths that are not absolute.
func checkPaths(what string, list []string) error {
	for _, p := range list {
		if !path.IsAbs(p) || strings.ContainsRune(p, 0) {
			return fmt.Errorf("%s path %q is not absolute", what, p)
		}
	}
	return nil
}

// sysctlFile returns the file of a kernel parameter: dots stand for slashes, or,
// when a name holds a slash, slashes are themselves and dots as well.
func sysctlFile(key string) (string, error) {
	p := key
	if !strings.Contains(key, "/") {
		p = strings.ReplaceAll(key, ".", "/")
	}
	if key == "" || strings.ContainsRune(p, 0) || slices.Contains(strings.Split(p, "/"), "..") {
		return "", fmt.Errorf("%q is not a kernel parameter", key)
	}
	return path.Join("/proc/sys", p), nil
}

// setSysctl sets a kernel parameter through the container's /proc: those of a
// namespace are the container's own, the others are its machine's.
func setSysctl(file, value string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("kernel parameter: %w", err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("kernel parameter: set to %q: %w", value, err)
	}
	return nil
}
