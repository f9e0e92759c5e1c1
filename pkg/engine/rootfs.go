package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"vpod/pkg/container"
	"vpod/pkg/image"
	"vpod/pkg/paths"
	"vpod/pkg/rootfs"
)

// disks is the cache of images as disks.
func (e *Engine) disks() *rootfs.Cache { return rootfs.NewCache(e.dirs.Images(), e.opts.Log) }

// imageDisk is where the disk of an image is, if it was made.
func (e *Engine) imageDisk(imageID string) string {
	return filepath.Join(e.dirs.Images(), imageID+".erofs")
}

// makeRootfs makes what a new container's root file system needs: the image's
// disk, if it was never made, and the container's own scratch disk; or the
// container's layer in the image store, for the shared modes.
func (e *Engine) makeRootfs(ctx context.Context, spec container.Spec, files paths.Container, progress func(string, int)) error {
	if spec.Rootfs.Mode != container.RootfsDisk {
		if err := e.markLayer(spec.ID); err != nil {
			return err
		}
		return e.images().CreateLayer(ctx, spec.ID, spec.Image.ID, spec.AutoRemove)
	}
	if err := e.ensureImageDisk(ctx, spec, progress); err != nil {
		return err
	}
	if !spec.HasScratch() {
		return nil
	}
	return rootfs.NewScratch(ctx, rootfs.ScratchOptions{
		Path:      files.Scratch(),
		SizeBytes: spec.Rootfs.SizeBytes,
		CacheDir:  e.dirs.Cache(),
		Ephemeral: spec.AutoRemove,
	})
}

// ensureImageDisk converts the image when nobody has yet.
func (e *Engine) ensureImageDisk(ctx context.Context, spec container.Spec, progress func(string, int)) error {
	mount := func(ctx context.Context) (string, func() error, error) {
		return e.images().Mount(ctx, spec.Image.ID)
	}
	report := func(p rootfs.Progress) {
		if progress == nil {
			return
		}
		percent := -1
		if p.TotalBytes > 0 {
			percent = int(100 * p.DoneBytes / p.TotalBytes)
		}
		switch p.Phase {
		case rootfs.Waiting:
			progress("waiting for another vpod to convert image "+spec.Image.Name, -1)
		case rootfs.Converting:
			progress("converting image "+spec.Image.Name+" to a disk, once", percent)
		case rootfs.Done:
			progress("converting image "+spec.Image.Name+" to a disk, once", 100)
		}
	}
	_, err := e.disks().Ensure(ctx, spec.Image.ID, mount, report)
	return err
}

// startNeedsStore reports whether a start needs the image store.
func (e *Engine) startNeedsStore(spec container.Spec) bool {
	if sharesTree(e, spec) {
		return true
	}
	_, ok := e.disks().Lookup(spec.Image.ID)
	return !ok
}

// sharesTree reports whether the container's layer is in the image store, which
// its removal then needs.
func sharesTree(_ *Engine, spec container.Spec) bool {
	return spec.Rootfs.Mode != container.RootfsDisk
}

// enterStore makes the image store usable, before any lock is taken: for an
// ordinary user this may execute the command again in a user namespace.
func (e *Engine) enterStore() error {
	if image.InUserNamespace() {
		return nil
	}
	if err := e.Close(); err != nil {
		return err
	}
	defer e.opts.Timing.HandOver()()
	return EnterUserNamespace(e.opts.Log)
}

// readyRootfs returns what a start needs: the image's disk, or the mounted tree.
func (e *Engine) readyRootfs(ctx context.Context, spec container.Spec, files paths.Container) (disk, share string, err error) {
	if spec.Rootfs.Mode != container.RootfsDisk {
		share, err = e.images().MountLayer(ctx, spec.ID)
		return "", share, err
	}
	if err := e.ensureImageDisk(ctx, spec, nil); err != nil {
		return "", "", err
	}
	if spec.HasScratch() {
		if _, err := os.Stat(files.Scratch()); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = fmt.Errorf("its scratch disk %s is gone: remove the container and create it again", files.Scratch())
			}
			return "", "", err
		}
	}
	return e.imageDisk(spec.Image.ID), "", nil
}

// releaseRootfs lets go of what a start has mounted.
func (e *Engine) releaseRootfs(ctx context.Context, spec container.Spec) error {
	if spec.Rootfs.Mode == container.RootfsDisk {
		return nil
	}
	return e.images().UnmountLayer(ctx, spec.ID)
}

// dropRootfs removes what makeRootfs made outside the container's directories.
func (e *Engine) dropRootfs(ctx context.Context, spec container.Spec) error {
	if spec.Rootfs.Mode == container.RootfsDisk {
		return nil
	}
	if err := e.images().DeleteLayer(ctx, spec.ID); err != nil {
		return err
	}
	e.unmarkLayer(spec.ID)
	return nil
}
