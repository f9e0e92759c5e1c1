package mounts

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// copyUp copies what the directory from holds into the directory to, with owners,
// modes, times and extended attributes. Hard links become files of their own. It
// needs only the descriptor of from, which may be hidden by now.
func copyUp(from *os.File, to string) error { return copyDir(from, to) }

// copyDir copies the entries of from, then what belongs to the directory itself.
func copyDir(from *os.File, to string) error {
	entries, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range entries {
		if err := copyEntry(from, name, filepath.Join(to, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &st); err != nil {
		return err
	}
	return copyMeta(from, to, &st)
}

func copyEntry(dir *os.File, name, to string) error {
	at := int(dir.Fd())
	var st unix.Stat_t
	if err := unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		from, err := openAt(at, name, unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer func() { _ = from.Close() }()
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
		return copyDir(from, to)
	case unix.S_IFREG:
		return copyFile(at, name, to, &st)
	case unix.S_IFLNK:
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(at, name, buf)
		if err != nil {
			return err
		}
		if err := unix.Symlink(string(buf[:n]), to); err != nil {
			return err
		}
		return unix.Lchown(to, int(st.Uid), int(st.Gid))
	default:
		if err := unix.Mknod(to, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
		return errors.Join(unix.Lchown(to, int(st.Uid), int(st.Gid)), unix.Chmod(to, st.Mode&0o7777))
	}
}

func copyFile(at int, name, to string, st *unix.Stat_t) error {
	from, err := openAt(at, name, unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close(), copyMeta(from, to, st))
}

func openAt(at int, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// copyMeta gives to the owner, mode, extended attributes and times of from. The
// owner comes first: changing it takes set-id bits and capabilities away.
func copyMeta(from *os.File, to string, st *unix.Stat_t) error {
	if err := unix.Lchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	if err := copyXattrs(int(from.Fd()), to); err != nil {
		return err
	}
	return os.Chtimes(to, time.Unix(st.Atim.Unix()), time.Unix(st.Mtim.Unix()))
}

func copyXattrs(fd int, to string) error {
	names := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return err
	}
	value := make([]byte, 64<<10) // XATTR_SIZE_MAX
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.overlay.") {
			continue
		}
		size, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return err
		}
		if err := unix.Lsetxattr(to, name, value[:size], 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
			return err
		}
	}
	return nil
}
