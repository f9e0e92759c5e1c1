package mounts

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// bind is a place in the root's own file system that is to be a mount of its own.
type bind struct {
	path       string
	set, clear uint64 // attributes, all that there are in one or the other
}

func parseBinds(list []agentproto.Bind) ([]bind, error) {
	binds := make([]bind, 0, len(list))
	for _, a := range list {
		if !path.IsAbs(a.Path) || strings.ContainsRune(a.Path, 0) {
			return nil, fmt.Errorf("bind %q is not an absolute path", a.Path)
		}
		o, err := parseOptions(a.Options)
		if err != nil {
			return nil, fmt.Errorf("bind %s: %w", a.Path, err)
		}
		b := bind{path: a.Path}
		b.set, b.clear = o.allAttrs()
		binds = append(binds, b)
	}
	return binds, nil
}

// separate makes the mount, in the root entered.
func (b *bind) separate() error {
	tree, err := openTree(b.path, false)
	if absent(err) {
		return nil // a bind made after it hides it
	}
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(tree) }()
	if err := setTreeAttr(tree, b.set, b.clear); err != nil {
		return err
	}
	return attach(tree, b.path)
}

// allAttrs are the attributes of a mount that is copied from another one: set are those
// asked for, clear are all others.
func (o *options) allAttrs() (set, clear uint64) {
	set, _ = o.bindAttrs()
	set = set&^o.attrClear | o.attrSet
	const all = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC |
		unix.MOUNT_ATTR_NODIRATIME | unix.MOUNT_ATTR_NOSYMFOLLOW
	return set, all&^set | unix.MOUNT_ATTR__ATIME // one of the access times may be set only when all are cleared
}
