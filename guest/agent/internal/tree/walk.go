package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

const (
	// maxDepth bounds how deep directories may nest: each costs two descriptors.
	maxDepth = 1000
	// namesAtOnce are read from a directory, which may be longer than fits in memory.
	namesAtOnce = 128
)

// node is a file on the way.
type node struct {
	up     *node  // the directory it is in; nil for the root
	path   string // from the root, without a slash in front; "" for the root
	name   string
	st     unix.Stat_t
	parent int // descriptor of the directory it is in; -1 for the root
	fd     int // of a directory itself, open; else -1
	below  int // descriptor of the lower directory in place of parent; -1 when there is none

	recorded bool // see changes.go
}

func (n *node) isDir() bool { return n.st.Mode&unix.S_IFMT == unix.S_IFDIR }

// proc is a path to the file itself, links not followed, that nobody else can change
// the meaning of but for its last part.
func (n *node) proc() string {
	if n.parent < 0 {
		return fmt.Sprintf("/proc/self/fd/%d", n.fd)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", n.parent, n.name)
}

// lower looks at the file of the same path in the lower tree.
func (n *node) lower() (st unix.Stat_t, ok bool, err error) {
	if n.below < 0 {
		return st, false, nil
	}
	err = unix.Fstatat(n.below, n.name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return st, false, nil
	}
	return st, err == nil, err
}

// walker goes through a tree.
type walker struct {
	ctx     context.Context //nolint:containedctx // a walker lives for one call
	exclude map[string]bool
}

func newWalker(ctx context.Context, exclude []string) *walker {
	w := &walker{ctx: ctx, exclude: make(map[string]bool)}
	for _, dir := range exclude {
		w.exclude[strings.TrimPrefix(path.Clean("/"+dir), "/")] = true
	}
	return w
}

// walk visits the tree at dir, each directory before what is in it. lower, if not "",
// is the tree that n.lower looks at.
func (w *walker) walk(dir, lower string, visit func(*node) error) error {
	root := &node{parent: -1, below: -1}
	var err error
	if root.fd, err = openDir(unix.AT_FDCWD, dir); err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	f := os.NewFile(uintptr(root.fd), dir)
	defer func() { _ = f.Close() }()
	if err := unix.Fstat(root.fd, &root.st); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	below := -1
	if lower != "" {
		if below, err = openDir(unix.AT_FDCWD, lower); err != nil {
			return fmt.Errorf("open %s: %w", lower, err)
		}
		defer func() { _ = unix.Close(below) }()
	}
	if err := visit(root); err != nil {
		return err
	}
	return w.enter(root, f, below, 1, visit)
}

// enter visits what is in the directory n, open as f.
func (w *walker) enter(n *node, f *os.File, below, depth int, visit func(*node) error) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: directories nest deeper than %d", short(n.path), maxDepth)
	}
	for {
		names, err := f.Readdirnames(namesAtOnce)
		for _, name := range names {
			if err := w.visit(n, name, below, depth, visit); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case gone(err): // removed meanwhile
			return nil
		case err != nil:
			return fmt.Errorf("read directory %s: %w", short(n.path), err)
		}
	}
}

// visit visits one file of a directory, and what is below it.
func (w *walker) visit(dir *node, name string, below, depth int, visit func(*node) error) error {
	if err := w.ctx.Err(); err != nil {
		return context.Cause(w.ctx)
	}
	n := &node{up: dir, path: path.Join(dir.path, name), name: name, parent: dir.fd, fd: -1, below: below}
	if len(n.path) >= agentproto.MaxPath-1 { // a slash comes in front
		return fmt.Errorf("%s: the path is longer than %d bytes", short(n.path), agentproto.MaxPath)
	}
	err := unix.Fstatat(n.parent, name, &n.st, unix.AT_SYMLINK_NOFOLLOW)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", short(n.path), err)
	}
	if !n.isDir() {
		return visit(n)
	}
	n.fd, err = openDir(n.parent, name)
	if gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open directory %s: %w", short(n.path), err)
	}
	f := os.NewFile(uintptr(n.fd), name)
	defer func() { _ = f.Close() }()
	if err := unix.Fstat(n.fd, &n.st); err != nil {
		return fmt.Errorf("look at %s: %w", short(n.path), err)
	}
	if err := visit(n); err != nil || w.exclude[n.path] {
		return err
	}
	deeper := -1
	if below >= 0 {
		if deeper, err = openDir(below, name); err != nil {
			deeper = -1 // the lower tree has none, or no directory, there
		} else {
			defer func() { _ = unix.Close(deeper) }()
		}
	}
	return w.enter(n, f, deeper, depth+1, visit)
}

// openDir opens a directory, which must not be a link.
func openDir(parent int, name string) (int, error) {
	return unix.Openat(parent, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

// gone reports that a file has been removed, or replaced by one of another kind, since
// its name was read.
func gone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)
}

// maxShown bounds a path in an error, in bytes.
const maxShown = 200

// short is a path for an error: the host shortens the text, not the reason behind it.
func short(p string) string {
	if len(p) > maxShown {
		p = "…" + p[len(p)-maxShown:]
	}
	return "/" + p
}
