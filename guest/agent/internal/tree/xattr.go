package tree

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Extended attributes with which overlayfs marks its upper directory.
const (
	opaqueXattr   = "trusted.overlay.opaque"   // "y": nothing of the lower directory shows
	redirectXattr = "trusted.overlay.redirect" // the lower directory has another name
	metacopyXattr = "trusted.overlay.metacopy" // the content is still in the lower file
	whiteoutXattr = "trusted.overlay.whiteout" // of an empty regular file: it hides a lower one
)

// kept reports whether an attribute goes into an archive: all but those of overlay
// file systems, which would mean something to the one that the archive is unpacked on,
// those of other kernels' security modules, and names that an archive cannot hold.
func kept(name string) bool {
	for _, prefix := range []string{"trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return name != "security.selinux" && !strings.Contains(name, "=")
}

// xattrs returns the attributes of a file that are kept. fd is the file, open, or -1.
func xattrs(n *node, fd int) (map[string]string, error) {
	list := func(b []byte) (int, error) { return unix.Llistxattr(n.proc(), b) }
	get := func(name string, b []byte) (int, error) { return unix.Lgetxattr(n.proc(), name, b) }
	if fd >= 0 {
		list = func(b []byte) (int, error) { return unix.Flistxattr(fd, b) }
		get = func(name string, b []byte) (int, error) { return unix.Fgetxattr(fd, name, b) }
	}
	names, err := sized(list)
	if err != nil {
		return nil, fmt.Errorf("list the attributes of %s: %w", short(n.path), err)
	}
	var all map[string]string
	for name := range bytes.SplitSeq(names, []byte{0}) {
		if len(name) == 0 || !kept(string(name)) {
			continue
		}
		value, err := sized(func(b []byte) (int, error) { return get(string(name), b) })
		if err != nil {
			return nil, fmt.Errorf("read attribute %.80q of %s: %w", name, short(n.path), err)
		}
		if all == nil {
			all = make(map[string]string)
		}
		all[string(name)] = string(value)
	}
	return all, nil
}

// marked returns the value of an attribute of overlayfs's, "" when there is none.
func marked(n *node, fd int, name string) (string, error) {
	value, err := sized(func(b []byte) (int, error) {
		if fd >= 0 {
			return unix.Fgetxattr(fd, name, b)
		}
		return unix.Lgetxattr(n.proc(), name, b)
	})
	if err != nil {
		return "", fmt.Errorf("read attribute %s of %s: %w", name, short(n.path), err)
	}
	return string(value), nil
}

// sized calls f with a buffer that is large enough. What is not there, or not
// supported, is nothing.
func sized(f func([]byte) (int, error)) ([]byte, error) {
	b := make([]byte, 256)
	for {
		n, err := f(b)
		switch {
		case errors.Is(err, unix.ERANGE) && len(b) < 1<<16:
			b = make([]byte, 1<<16) // XATTR_SIZE_MAX, XATTR_LIST_MAX
		case gone(err), errors.Is(err, unix.ENODATA), errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case err != nil:
			return nil, err
		default:
			return b[:n], nil
		}
	}
}

// isWhiteout reports whether a file of an upper directory says that the lower one of
// its name is deleted.
func isWhiteout(n *node) (bool, error) {
	switch n.st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return n.st.Rdev == 0, nil
	case unix.S_IFREG:
		if n.st.Size != 0 {
			return false, nil
		}
		names, err := sized(func(b []byte) (int, error) { return unix.Llistxattr(n.proc(), b) })
		return bytes.Contains(names, []byte(whiteoutXattr+"\x00")), err
	}
	return false, nil
}

// isOpaque reports whether a directory of an upper directory hides a lower one.
func isOpaque(n *node) (bool, error) {
	if !n.isDir() {
		return false, nil
	}
	value, err := marked(n, n.fd, opaqueXattr)
	if err != nil || value != "y" {
		return false, err
	}
	_, there, err := n.lower()
	return there, err
}
