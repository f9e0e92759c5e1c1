package mounts

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
)

// masker hides paths. The zero value is ready.
type masker struct {
	empty string // a directory hidden already, behind an empty file system
}

// mask returns the mount that hides path: a file behind /dev/null, a directory
// behind an empty one.
func (m *masker) mask(p string, isDir bool) spawn.Mount {
	switch {
	case !isDir:
		return spawn.Mount{Source: "/dev/null", Target: p, Flags: unix.MS_BIND}
	case m.empty != "":
		return spawn.Mount{Source: m.empty, Target: p, Flags: unix.MS_BIND}
	default:
		m.empty = p
		return spawn.Mount{Source: "tmpfs", Target: p, Type: "tmpfs", Data: "size=0,nr_inodes=2",
			Flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC}
	}
}

func absent(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// readonly returns the mounts that make the tree at path read-only: one of itself,
// then its attribute.
func readonly(p string) [2]spawn.Mount {
	return [2]spawn.Mount{
		{Source: p, Target: p, Flags: unix.MS_BIND | unix.MS_REC},
		{Target: p, SetAttr: unix.MOUNT_ATTR_RDONLY},
	}
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

// sysctlFile returns the file of a kernel parameter, relative to /proc: dots stand for slashes, or,
// when a name holds a slash, slashes are themselves and dots as well.
func sysctlFile(key string) (string, error) {
	p := key
	if !strings.Contains(key, "/") {
		p = strings.ReplaceAll(key, ".", "/")
	}
	if key == "" || strings.ContainsRune(p, 0) || slices.Contains(strings.Split(p, "/"), "..") {
		return "", fmt.Errorf("%q is not a kernel parameter", key)
	}
	return path.Join("sys", p), nil
}

// sysctl is a kernel parameter to be set.
type sysctl struct{ key, file, value string }

// set sets a kernel parameter through the machine's /proc. Those of a
// namespace are the calling thread's, so the container's own; the others are its
// machine's.
func (s sysctl) set(proc int) error {
	fd, err := unix.Openat(proc, s.file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("kernel parameter %s: %w", s.key, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.Write(fd, []byte(s.value)); err != nil {
		return fmt.Errorf("set kernel parameter %s to %q: %w", s.key, s.value, err)
	}
	return nil
}
