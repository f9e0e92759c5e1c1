// Package rootfs assembles the root file system of a container from the disks or
// the share the machine was given, and takes it apart again.
//
// Everything is mounted in the agent's own namespace, below the container's
// directory; the container's namespace begins as a copy.
package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/device"
	"vpod/pkg/agentproto"
)

// Root is an assembled root file system.
type Root struct {
	Dir string // its mount point

	Lower   string // the image, where it is a disk; else ""
	Upper   string // what the container has changed of it; "" with a share
	Scratch string // where the scratch disk is mounted; "" without one

	shared  bool     // it is the host's tree
	mounted []string // in order
	made    []string // directories, in order
}

// Assemble mounts what r says below dir, which it makes. It waits for devices
// until ctx is done; known finds the disks. On failure nothing stays mounted.
func Assemble(ctx context.Context, dir string, r agentproto.Rootfs, known *device.Disks) (_ *Root, err error) {
	if err := check(r); err != nil {
		return nil, err
	}
	root := &Root{Dir: filepath.Join(dir, "root")}
	defer func() {
		if err != nil {
			_ = root.Dismantle()
		}
	}()
	if r.Share != "" {
		root.shared = true
		return root, root.mountShare(ctx, r)
	}
	serials := []string{r.LowerDisk}
	if r.ScratchDisk != "" {
		serials = append(serials, r.ScratchDisk)
	}
	disks, err := known.Find(ctx, serials...)
	if err != nil {
		return nil, err
	}
	lower := filepath.Join(dir, "lower")
	if err := root.mount(disks[0].Path(), lower, "erofs", unix.MS_RDONLY, ""); err != nil {
		return nil, err
	}
	// What is written goes to the scratch disk, or to memory: that is little, as
	// it happens for a read-only container alone, whose mount points may have to
	// be made.
	upper := filepath.Join(dir, "scratch")
	if r.ScratchDisk != "" {
		if err := root.mountScratch(disks[1], upper, r.Volatile); err != nil {
			return nil, err
		}
	}
	if r.ScratchDisk != "" {
		root.Scratch = upper
	}
	return root, root.mountOverlay(lower, upper, r)
}

// check refuses what cannot be meant.
func check(r agentproto.Rootfs) error {
	switch {
	case r.Share != "" && (r.LowerDisk != "" || r.ScratchDisk != ""):
		return errors.New("root file system: both a share and disks are given")
	case r.Share != "" && r.ShareKind != device.Virtiofs && r.ShareKind != device.NineP:
		return fmt.Errorf("root file system: unknown kind of share %q", r.ShareKind)
	case r.ShareDir != "" && (r.Share == "" || r.ShareDir == "." || r.ShareDir == ".." || filepath.Base(r.ShareDir) != r.ShareDir):
		return fmt.Errorf("root file system: %.80q is no name of a directory of a share", r.ShareDir)
	case r.Share == "" && r.LowerDisk == "":
		return errors.New("root file system: neither a disk nor a share is given")
	case r.Share == "" && r.ScratchDisk == "" && !r.ReadOnly:
		return errors.New("root file system: a disk that is written to needs a scratch disk")
	}
	return nil
}

// mount mounts and remembers it.
func (r *Root) mount(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mkdir(target, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("make %s: %w", target, err)
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s %s: %w", fstype, source, err)
	}
	r.mounted = append(r.mounted, target)
	r.made = append(r.made, target)
	return nil
}

// mountShare mounts a shared tree, or a directory of it, as the root. It is written
// to directly.
func (r *Root) mountShare(ctx context.Context, fs agentproto.Rootfs) error {
	if err := device.FindShare(ctx, fs.ShareKind, fs.Share); err != nil {
		return err
	}
	data := ""
	if fs.ShareKind == device.NineP {
		// cache=mmap: nothing else changes the tree while the machine runs, but
		// only what mmap needs is cached, so that a volume below stays coherent.
		data = "version=9p2000.L,trans=virtio,msize=512000,cache=mmap,access=client,posixacl"
	}
	if fs.ShareDir == "" {
		return r.mount(fs.Share, r.Dir, fs.ShareKind, 0, data)
	}
	whole := filepath.Join(filepath.Dir(r.Dir), "share")
	if err := r.mount(fs.Share, whole, fs.ShareKind, 0, data); err != nil {
		return err
	}
	if err := r.mount(filepath.Join(whole, fs.ShareDir), r.Dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// The container's mounts begin as a copy of these: the rest of the share is not
	// to be among them.
	if err := unix.Unmount(whole, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", whole, err)
	}
	r.mounted = slices.DeleteFunc(r.mounted, func(dir string) bool { return dir == whole })
	return nil
}

func (r *Root) mountScratch(d device.Disk, dir string, volatile bool) error {
	// noinit_itable: tables that have never been used are not zeroed in the
	// background; the disk is a sparse file, zero where it was never written.
	// no_prefetch_block_bitmaps: nor is a thread started to read all bitmaps of a disk
	// that is mostly empty.
	data := "noinit_itable,no_prefetch_block_bitmaps"
	if volatile {
		data += ",nobarrier,noauto_da_alloc"
	}
	// The file system is as large as the disk was made. Of the size that the device
	// tells nothing can be concluded: in a machine restored from a template it is the
	// template's.
	return r.mount(d.Path(), dir, "ext4", unix.MS_NOATIME, data)
}

// mountOverlay lays scratch's upper directory over lower.
func (r *Root) mountOverlay(lower, scratch string, fs agentproto.Rootfs) error {
	upper, work := scratch+"/upper", scratch+"/work"
	if fs.ScratchDisk == "" {
		r.made = append(r.made, scratch)
	}
	fresh := false
	for _, dir := range []string{scratch, work, upper} {
		err := unix.Mkdir(dir, 0o755)
		fresh = err == nil
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("make %s: %w", dir, err)
		}
	}
	if fresh {
		if err := inheritRoot(lower, upper); err != nil {
			return fmt.Errorf("root of the image: %w", err)
		}
	}
	forgetVolatile(work)
	r.Lower, r.Upper = lower, upper
	data := "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work
	if fs.Volatile || fs.ScratchDisk == "" {
		data += ",volatile"
	}
	return r.mount("overlay", r.Dir, "overlay", 0, data)
}

// ViewFrozen mounts what the container sees once more, at a place of its own, without
// an upper directory: to read the container's own mount may write to that, which would
// wait for ever while its file system is frozen. It must stay so until unmount.
func (r *Root) ViewFrozen() (dir string, unmount func() error, err error) {
	dir = filepath.Join(filepath.Dir(r.Dir), "frozen")
	if err := unix.Mkdir(dir, 0o700); err != nil {
		return "", nil, fmt.Errorf("make %s: %w", dir, err)
	}
	if err := unix.Mount("overlay", dir, "overlay", unix.MS_RDONLY, "lowerdir="+r.Upper+":"+r.Lower); err != nil {
		return "", nil, errors.Join(fmt.Errorf("mount overlay: %w", err), unix.Rmdir(dir))
	}
	return dir, func() error {
		if err := unix.Unmount(dir, 0); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
		return unix.Rmdir(dir)
	}, nil
}

// inheritRoot gives a new upper directory, which is the root the container sees,
// the owner and mode of the image's.
func inheritRoot(lower, upper string) error {
	var st unix.Stat_t
	if err := unix.Stat(lower, &st); err != nil {
		return err
	}
	return errors.Join(unix.Chown(upper, int(st.Uid), int(st.Gid)), unix.Chmod(upper, st.Mode&0o7777))
}

// forgetVolatile removes the mark that makes overlayfs refuse an upper directory
// a volatile mount has used. It stands for "contents may be lost after a crash of
// the host", which whoever asked for Volatile accepted.
func forgetVolatile(work string) {
	mark := filepath.Join(work, "work", "incompat", "volatile")
	if unix.Unlink(filepath.Join(mark, "dirty")) == nil {
		_ = unix.Rmdir(mark)
	}
}

// syncTree writes what was written to the file system at dir to its other end.
func syncTree(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("write back %s: %w", dir, err)
	}
	return nil
}

// Dismantle unmounts everything, which writes it back. All processes that use the
// root must be gone.
func (r *Root) Dismantle() error {
	var errs []error
	if r.shared && len(r.mounted) > 0 {
		// Should anything still hold the file system, unmounting would not write it.
		errs = append(errs, syncTree(r.Dir))
	}
	for len(r.mounted) > 0 {
		last := r.mounted[len(r.mounted)-1]
		if err := unix.Unmount(last, 0); err != nil {
			errs = append(errs, fmt.Errorf("unmount %s: %w", last, err))
			if err := unix.Unmount(last, unix.MNT_DETACH); err != nil {
				break
			}
		}
		r.mounted = r.mounted[:len(r.mounted)-1]
	}
	if len(r.mounted) == 0 {
		// Nothing of a disk is left below these.
		for _, dir := range r.made {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}
