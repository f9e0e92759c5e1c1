package tree

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names by which a layer of an OCI image says what of the layers below it is gone
// (image-spec, layer.md, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	opaqueName     = ".wh..wh..opq"
)

// maxLinkNames bounds the memory for names of files that have several, in bytes.
const maxLinkNames = 16 << 20

// archive writes a tree as a tar archive in PAX format.
type archive struct {
	tw    *tar.Writer
	layer bool // whiteouts and opaque directories are translated
	buf   []byte

	links     map[inode]string // the first name of files that have several
	linkBytes int
}

type inode struct{ dev, ino uint64 }

func newArchive(w io.Writer, layer bool) *archive {
	return &archive{tw: tar.NewWriter(w), layer: layer, buf: make([]byte, 64<<10), links: make(map[inode]string)}
}

func (a *archive) write(w *walker, dir, lower string) error {
	if err := w.walk(dir, lower, a.add); err != nil {
		return err
	}
	return a.tw.Close()
}

// add writes a file.
func (a *archive) add(n *node) error {
	opaque := false
	if a.layer {
		deleted, err := isWhiteout(n)
		if err != nil {
			return err
		}
		if deleted {
			return a.mark(n, path.Join(path.Dir(n.path), whiteoutPrefix+n.name))
		}
		if err := representable(n); err != nil {
			return err
		}
		if opaque, err = isOpaque(n); err != nil {
			return err
		}
	}
	h, err := a.header(n)
	if err != nil || h == nil {
		return err
	}
	if n.st.Mode&unix.S_IFMT == unix.S_IFREG && h.Typeflag != tar.TypeLink {
		return a.regular(n, h)
	}
	if h.Typeflag != tar.TypeLink {
		if err := addXattrs(h, n, n.fd); err != nil {
			return err
		}
	}
	if err := a.put(h); err != nil {
		return err
	}
	if opaque {
		return a.mark(n, path.Join(n.path, opaqueName))
	}
	return nil
}

// representable refuses what a layer cannot say, or what the walk has not the whole of.
func representable(n *node) error {
	if strings.HasPrefix(n.name, whiteoutPrefix) {
		return fmt.Errorf("%s: no layer of an image can hold a file whose name begins with %s", short(n.path), whiteoutPrefix)
	}
	check := ""
	switch n.st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		check = redirectXattr
	case unix.S_IFREG:
		check = metacopyXattr
	default:
		return nil
	}
	// Our kernel makes neither; one that the user has given may.
	names, err := sized(func(b []byte) (int, error) { return unix.Llistxattr(n.proc(), b) })
	if err != nil {
		return err
	}
	if strings.Contains("\x00"+string(names), "\x00"+check+"\x00") {
		return fmt.Errorf("%s: its content is only in the image, under another name or attribute (%s)", short(n.path), check)
	}
	return nil
}

// mark writes an empty file that says something is gone.
func (a *archive) mark(n *node, name string) error {
	return a.put(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, ModTime: modTime(&n.st), Format: tar.FormatPAX})
}

func (a *archive) put(h *tar.Header) error {
	if err := a.tw.WriteHeader(h); err != nil {
		return fmt.Errorf("archive %s: %w", short(h.Name), err)
	}
	return nil
}

// header describes a file; nil leaves it out.
func (a *archive) header(n *node) (*tar.Header, error) {
	st := &n.st
	h := &tar.Header{
		Name: n.path, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: modTime(st), Format: tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
		h.Name = "./"
		if n.path != "" {
			h.Name = n.path + "/"
		}
		return h, nil
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFLNK:
		target, err := os.Readlink(n.proc())
		if gone(err) || errors.Is(err, unix.EINVAL) { // it is another file by now
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read link %s: %w", short(n.path), err)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil, nil // a socket belongs to the process that listens
	}
	if st.Nlink < 2 {
		return h, nil
	}
	if first, ok := a.links[inode{st.Dev, st.Ino}]; ok {
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
	}
	return h, nil
}

// remember keeps the first name of a file that has several.
func (a *archive) remember(n *node) error {
	if n.st.Nlink < 2 {
		return nil
	}
	const overhead = 64 // of a map's entry
	if a.linkBytes += len(n.path) + overhead; a.linkBytes > maxLinkNames {
		return fmt.Errorf("%s: there are too many files with several names", short(n.path))
	}
	a.links[inode{n.st.Dev, n.st.Ino}] = n.path
	return nil
}

// regular writes a regular file with its content: as much as it had when it was
// opened, whatever becomes of it meanwhile.
func (a *archive) regular(n *node, h *tar.Header) error {
	fd, err := unix.Openat(n.parent, n.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if gone(err) || errors.Is(err, unix.ENXIO) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", short(n.path), err)
	}
	f := os.NewFile(uintptr(fd), n.name)
	defer func() { _ = f.Close() }()
	was := n.st
	if err := unix.Fstat(fd, &n.st); err != nil {
		return fmt.Errorf("look at %s: %w", short(n.path), err)
	}
	if n.st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil
	}
	if n.st.Ino != was.Ino || n.st.Dev != was.Dev {
		if h, err = a.header(n); err != nil || h == nil || h.Typeflag == tar.TypeLink {
			return err
		}
	}
	h.Size, h.ModTime = n.st.Size, modTime(&n.st)
	if err := addXattrs(h, n, fd); err != nil {
		return err
	}
	if err := a.put(h); err != nil {
		return err
	}
	if err := a.content(f, n.path, h.Size); err != nil {
		return err
	}
	return a.remember(n)
}

// content writes size bytes of f, with zeros in place of what is not there any more.
func (a *archive) content(f *os.File, name string, size int64) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{a.tw}, io.LimitReader(f, size), a.buf)
	if err != nil {
		return fmt.Errorf("archive %s: %w", short(name), err)
	}
	clear(a.buf)
	for n < size {
		m, err := a.tw.Write(a.buf[:min(int64(len(a.buf)), size-n)])
		if err != nil {
			return fmt.Errorf("archive %s: %w", short(name), err)
		}
		n += int64(m)
	}
	return nil
}

func addXattrs(h *tar.Header, n *node, fd int) error {
	all, err := xattrs(n, fd)
	if err != nil || len(all) == 0 {
		return err
	}
	h.PAXRecords = make(map[string]string, len(all))
	for name, value := range all {
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	return nil
}

func modTime(st *unix.Stat_t) time.Time { return time.Unix(st.Mtim.Unix()) }
