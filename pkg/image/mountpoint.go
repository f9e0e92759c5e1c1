package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"
)

// Mounted is an image whose files a user has made readable, until it is unmounted
// or the machine boots again. The store counts such mounts, for all tools; the
// mount itself is seen in the mount namespace it was made in.
type Mounted struct {
	ID    string
	Names []string
	Path  string
}

// MountImages mounts images read-only, all or none of those named; with all, every
// image of the store.
func (s *Store) MountImages(ctx context.Context, names []string, all bool) ([]Mounted, error) {
	var mounted []Mounted
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		images, err := s.named(ctx, rt, names, all)
		if err != nil {
			return err
		}
		for _, image := range images {
			if err = ctx.Err(); err != nil {
				break
			}
			var path string
			if path, err = image.Mount(ctx, nil, ""); err != nil {
				err = fmt.Errorf("mount image %s: %w", shownName(image), err)
				break
			}
			mounted = append(mounted, Mounted{ID: image.ID(), Names: slices.Clone(image.Names()), Path: path})
		}
		if err == nil {
			return nil
		}
		for _, m := range mounted {
			if _, undo := s.store.UnmountImage(m.ID, false); undo != nil {
				err = errors.Join(err, undo)
			}
		}
		mounted = nil
		return err
	})
	return mounted, explain(err)
}

// named are the images users name, each once; with all, every image with files.
func (s *Store) named(ctx context.Context, rt *libimage.Runtime, names []string, all bool) ([]*libimage.Image, error) {
	if all {
		images, err := rt.ListImages(ctx, nil)
		return slices.DeleteFunc(images, func(i *libimage.Image) bool { return i.TopLayer() == "" }), err
	}
	var images []*libimage.Image
	for _, name := range names {
		image, _, err := find(rt, name, nil)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(images, func(i *libimage.Image) bool { return i.ID() == image.ID() }) {
			images = append(images, image)
		}
	}
	return images, nil
}

// MountedImages lists the images that are mounted, by whatever tool.
func (s *Store) MountedImages(ctx context.Context) ([]Mounted, error) {
	var mounted []Mounted
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		images, err := rt.ListImages(ctx, nil)
		if err != nil {
			return err
		}
		for _, image := range images {
			path, err := image.Mountpoint()
			if err != nil {
				return fmt.Errorf("mount of image %s: %w", shownName(image), err)
			}
			if path != "" {
				mounted = append(mounted, Mounted{ID: image.ID(), Names: slices.Clone(image.Names()), Path: path})
			}
		}
		return nil
	})
	return mounted, explain(err)
}

// UnmountImages takes one from the count of the mounts of each image, or, with
// force, all, and returns the ids of those that were mounted.
func (s *Store) UnmountImages(ctx context.Context, names []string, all, force bool) ([]string, error) {
	var done []string
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		images, err := s.named(ctx, rt, names, all)
		if err != nil {
			return err
		}
		var errs []error
		for _, image := range images {
			path, err := image.Mountpoint()
			if err == nil && path == "" {
				continue
			}
			if err == nil {
				_, err = s.store.UnmountImage(image.ID(), force)
			}
			if err != nil && !errors.Is(err, storage.ErrLayerNotMounted) {
				errs = append(errs, fmt.Errorf("unmount image %s: %w", shownName(image), err))
				continue
			}
			done = append(done, image.ID())
		}
		return errors.Join(errs...)
	})
	return done, explain(err)
}
