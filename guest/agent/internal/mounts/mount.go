package mounts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/device"
)

// job is one mount, its source taken hold of.
type job struct {
	specs.Mount
	options
	tree      int // a detached copy of the source, for binds; else -1
	directory bool
}

// prepare checks a mount and takes hold of its source, in the agent's root.
// cgroupDir is the container's control group.
func prepare(ctx context.Context, m specs.Mount, cgroupDir string) (job, error) {
	j := job{Mount: m, tree: -1, directory: true}
	if !path.IsAbs(m.Destination) || strings.ContainsRune(m.Destination, 0) {
		return j, fmt.Errorf("destination %q is not an absolute path", m.Destination)
	}
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		return j, errors.New("id-mapped mounts need a user namespace, which a machine of its own makes needless")
	}
	o, err := parseOptions(m.Options)
	if err != nil {
		return j, err
	}
	j.options = o
	source := m.Source
	switch {
	case m.Type == "bind" || o.bind:
		j.bind = true
	case m.Type == "cgroup" || m.Type == "cgroup2":
		// What a mount in the container's own namespace would show, without
		// having to be in it.
		j.bind, source = true, cgroupDir
	case m.Type == device.NineP || m.Type == device.Virtiofs:
		return j, device.FindShare(ctx, m.Type, m.Source)
	}
	if !j.bind {
		return j, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(source, &st); err != nil {
		return j, fmt.Errorf("source %s: %w", source, err)
	}
	j.directory = st.Mode&unix.S_IFMT == unix.S_IFDIR
	j.tree, err = openTree(source, o.recursive)
	return j, err
}

// openTree returns a detached copy of the mount at path.
func openTree(path string, recursive bool) (int, error) {
	how := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		how |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, how)
	if err != nil {
		return -1, fmt.Errorf("open_tree %s: %w", path, err)
	}
	return fd, nil
}

// attach puts a detached mount at target, in the container's root.
func attach(tree int, target string) error {
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_SYMLINKS); err != nil {
		return fmt.Errorf("move_mount to %s: %w", target, err)
	}
	return nil
}

// do mounts j in the container's root.
func (j *job) do() error {
	if j.bind {
		return j.doBind()
	}
	target := j.Destination
	flags, data := j.flags, strings.Join(j.data, ",")
	if j.Type == "tmpfs" {
		var err error
		if target, err = makeTarget(target, true); err != nil {
			return err
		}
		data = j.tmpfsData(target)
	}
	var hidden *os.File
	if j.copyUp && j.Type == "tmpfs" {
		var err error
		if hidden, err = os.Open(target); err != nil {
			return err
		}
		defer func() { _ = hidden.Close() }()
		flags &^= unix.MS_RDONLY
	}
	source := j.Source
	if source == "" {
		source = j.Type
	}
	err := unix.Mount(source, target, j.Type, flags, data)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		if target, err = makeTarget(target, true); err != nil {
			return err
		}
		err = unix.Mount(source, target, j.Type, flags, data)
	}
	if err != nil {
		return fmt.Errorf("mount %s on %s with %q: %w", j.Type, target, strings.Join(j.Options, ","), err)
	}
	if hidden != nil {
		if err := copyUp(hidden, target); err != nil {
			return fmt.Errorf("copy %s up: %w", target, err)
		}
		if mode, asked := j.mode(); asked { // wins over the hidden directory's
			if err := unix.Chmod(target, mode); err != nil {
				return fmt.Errorf("mode of %s: %w", target, err)
			}
		}
		if j.flags&unix.MS_RDONLY != 0 {
			if err := setAttr(target, unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
				return err
			}
		}
	}
	return j.finish(target)
}

// tmpfsData gives a tmpfs the mode of the directory it hides, when none is asked
// for, as Podman's runtimes do.
func (j *job) tmpfsData(target string) string {
	data := j.data
	var st unix.Stat_t
	if !j.hasData("mode") && unix.Stat(target, &st) == nil {
		data = append(data[:len(data):len(data)], fmt.Sprintf("mode=%o", st.Mode&0o7777))
	}
	return strings.Join(data, ",")
}

func (j *job) doBind() error {
	defer j.close()
	set, clear := j.bindAttrs()
	if set|clear != 0 {
		if err := setTreeAttr(j.tree, set, clear); err != nil {
			return err
		}
	}
	target := j.Destination
	err := attach(j.tree, target)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		if target, err = makeTarget(target, j.directory); err != nil {
			return err
		}
		err = attach(j.tree, target)
	}
	if err != nil {
		return err
	}
	return j.finish(target)
}

// finish applies what a mount gets once it is in place.
func (j *job) finish(target string) error {
	if j.attrSet|j.attrClear != 0 {
		if err := setAttr(target, j.attrSet, j.attrClear, true); err != nil {
			return err
		}
	}
	for _, p := range j.propagation {
		if err := unix.Mount("", target, "", p, ""); err != nil {
			return fmt.Errorf("propagation of %s: %w", target, err)
		}
	}
	return nil
}

func (j *job) close() {
	if j.tree >= 0 {
		_ = unix.Close(j.tree)
		j.tree = -1
	}
}

// setTreeAttr changes the attributes of a detached mount.
func setTreeAttr(tree int, set, clear uint64) error {
	attr := unix.MountAttr{Attr_set: set, Attr_clr: clear}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

// setAttr changes the attributes of the mount at path.
func setAttr(path string, set, clear uint64, recursive bool) error {
	var flags uint
	if recursive {
		flags = unix.AT_RECURSIVE
	}
	attr := unix.MountAttr{Attr_set: set, Attr_clr: clear}
	if err := unix.MountSetattr(unix.AT_FDCWD, path, flags, &attr); err != nil {
		return fmt.Errorf("mount_setattr %s: %w", path, err)
	}
	return nil
}
