package mounts

import (
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
)

// deferred collects the mounts the first process makes itself: /proc, which shows
// the pid namespace of whoever mounts it, and all that lies on it.
type deferred struct {
	proc   int      // the machine's /proc, alike but for its processes
	roots  []string // where a /proc will be mounted
	mounts []spawn.Mount
}

// covers reports whether a path will lie on a /proc.
func (d *deferred) covers(p string) bool {
	_, ok := d.below(p)
	return ok
}

// below returns the part of a path that lies on a /proc.
func (d *deferred) below(p string) (string, bool) {
	p = path.Clean(p)
	for _, r := range d.roots {
		if p == r {
			return ".", true
		}
		if rest, ok := strings.CutPrefix(p, r+"/"); ok {
			return rest, true
		}
	}
	return "", false
}

// add takes over a job, making the mount point of a /proc.
func (d *deferred) add(j *job) error {
	m := spawn.Mount{Target: path.Clean(j.Destination)}
	switch {
	case j.bind:
		set, clear := j.bindAttrs()
		if set|clear != 0 {
			if err := setTreeAttr(j.tree, set, clear); err != nil {
				return err
			}
		}
		m.Tree = j.tree
	default:
		m.Source, m.Type, m.Flags, m.Data = j.Source, j.Type, j.flags, strings.Join(j.data, ",")
	}
	if j.Type == "proc" && !d.covers(m.Target) {
		target, err := makeTarget(m.Target, true)
		if err != nil {
			return err
		}
		m.Target = target
		d.roots = append(d.roots, target)
	}
	d.mounts = append(d.mounts, m)
	if j.attrSet|j.attrClear != 0 {
		d.mounts = append(d.mounts, spawn.Mount{Target: m.Target, SetAttr: j.attrSet, ClearAttr: j.attrClear})
	}
	for _, p := range j.propagation {
		d.mounts = append(d.mounts, spawn.Mount{Target: m.Target, Flags: p})
	}
	return nil
}

// stat tells whether a path is, or will be, there, and whether as a directory.
func (d *deferred) stat(p string) (there, isDir bool, err error) {
	var st unix.Stat_t
	if rest, ok := d.below(p); ok {
		err = unix.Fstatat(d.proc, rest, &st, 0)
	} else {
		err = unix.Stat(p, &st)
	}
	if absent(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("look at %s: %w", p, err)
	}
	return true, st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}
