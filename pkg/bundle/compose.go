package bundle

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Compose lays binds over the root file system and shows the result at tree, an
// empty directory. Mount points that are missing are made, as every runtime does.
//
// It changes the mounts of the calling process, which must be in a mount namespace
// of its own: nothing of it reaches the one that namespace was copied from.
func Compose(tree, rootfs string, binds []Bind) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep the container's mounts to itself: %w", err)
	}
	if err := unix.Mount(rootfs, tree, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("show %s at %s: %w", rootfs, tree, err)
	}
	root, err := unix.Open(tree, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", tree, err)
	}
	defer unix.Close(root)
	for _, b := range binds {
		if err := b.lay(root); err != nil {
			return fmt.Errorf("mount %s on %s: %w", b.Source, b.Destination, err)
		}
	}
	return nil
}

// LookPath reports whether the command a process names is in the tree: fs.ErrNotExist
// says that it surely is not. Paths are resolved as the container would.
func LookPath(tree, command, searchPath, cwd string) error {
	root, err := unix.Open(tree, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	candidates := []string{command}
	switch {
	case path.IsAbs(command):
	case path.Base(command) != command:
		candidates = []string{path.Join(cwd, command)}
	default:
		candidates = nil
		for _, dir := range filepath.SplitList(searchPath) {
			candidates = append(candidates, path.Join(cwd, dir, command))
			if path.IsAbs(dir) {
				candidates[len(candidates)-1] = path.Join(dir, command)
			}
		}
	}
	for _, c := range candidates {
		fd, err := openIn(root, c, unix.O_PATH)
		if err == nil {
			unix.Close(fd)
		}
		if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOTDIR) {
			return nil
		}
	}
	return os.ErrNotExist
}

// lay makes one bind below root.
func (b Bind) lay(root int) error {
	if b.Overlay != "" {
		return b.layOverlay(root)
	}
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if b.Recursive {
		flags |= unix.AT_RECURSIVE
	}
	source, err := unix.OpenTree(unix.AT_FDCWD, b.Source, flags)
	if err != nil {
		return fmt.Errorf("open it: %w", err)
	}
	defer unix.Close(source)
	if b.ReadOnly {
		attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
		at := uint(unix.AT_EMPTY_PATH)
		if b.Recursive {
			at |= unix.AT_RECURSIVE
		}
		if err := unix.MountSetattr(source, "", at, &attr); err != nil {
			return fmt.Errorf("make it read-only: %w", err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(source, &st); err != nil {
		return err
	}
	target, err := mountPoint(root, b.Destination, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	if err := unix.MoveMount(source, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach it: %w", err)
	}
	return nil
}

// layOverlay mounts an overlay below root.
func (b Bind) layOverlay(root int) error {
	target, err := mountPoint(root, b.Destination, true)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	var flags uintptr
	if b.ReadOnly {
		flags = unix.MS_RDONLY
	}
	if err := unix.Mount("overlay", fmt.Sprintf("/proc/self/fd/%d", target), "overlay", flags, b.Overlay); err != nil {
		return fmt.Errorf("with %.500q: %w", b.Overlay, err)
	}
	return nil
}

// openIn opens a path as a process with root as its root directory would: no link
// leads out.
func openIn(root int, p string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(root, p, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) { // something was renamed meanwhile
			return fd, err
		}
	}
}

// mountPoint opens the place of a mount and makes it when it is missing.
func mountPoint(root int, p string, dir bool) (int, error) {
	fd, err := openIn(root, p, unix.O_PATH)
	if !errors.Is(err, unix.ENOENT) {
		return fd, err
	}
	parent, err := makeParents(root, path.Dir(p))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	name := path.Base(p)
	if dir {
		err = unix.Mkdirat(parent, name, 0o755)
	} else {
		var made int
		made, err = unix.Openat(parent, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err == nil {
			unix.Close(made)
		}
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("make the mount point: %w", err)
	}
	return openIn(root, p, unix.O_PATH)
}

// makeParents opens a directory below root and makes what of it is missing.
func makeParents(root int, dir string) (int, error) {
	fd, err := openIn(root, dir, unix.O_PATH|unix.O_DIRECTORY)
	if !errors.Is(err, unix.ENOENT) || dir == "/" || dir == "." {
		return fd, err
	}
	parent, err := makeParents(root, path.Dir(dir))
	if err != nil {
		return -1, err
	}
	defer unix.Close(parent)
	if err := unix.Mkdirat(parent, path.Base(dir), 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return -1, fmt.Errorf("make %s: %w", dir, err)
	}
	return openIn(root, dir, unix.O_PATH|unix.O_DIRECTORY)
}
