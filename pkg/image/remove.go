package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"
)

// RemoveOptions say how to remove images, and tell of vpod's containers.
type RemoveOptions struct {
	Force   bool // also remove containers that use the image, and all its names
	All     bool // every image; names must be empty
	Ignore  bool // a name there is no image by is no error
	NoPrune bool // keep images without a name that only the removed one was built on
	Lists   bool // names are those of manifest lists; others are refused with ErrNotAList

	// BuildContainers has the working containers of Buildah go with the image they
	// use; those of other tools hold it all the same.
	BuildContainers bool

	// InUse names the containers that use an image, as they are to be shown.
	// nil is none.
	InUse func(ctx context.Context, imageID string) ([]string, error)
	// RemoveContainers removes the containers that use an image; called with
	// Force when InUse named any.
	RemoveContainers func(ctx context.Context, imageID string) error
}

// Removal is what became of one image.
type Removal struct {
	ID       string
	Untagged []string // names it lost
	Deleted  bool     // it is gone, and its disks can go
}

// Remove takes names from images and deletes the images that have none left, as
// `podman rmi`: a name of several is only taken away; an image that a container
// uses is refused with ErrInUse, or, forced, loses the container. Containers of
// Podman and Buildah are never removed, and keep their image, whatever Force says.
//
// What could be done is done and returned even when there is an error for the
// rest.
func (s *Store) Remove(ctx context.Context, names []string, opts RemoveOptions) ([]Removal, error) {
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	r := &remover{store: s, rt: rt, opts: opts}
	if opts.All {
		if len(names) > 0 {
			return nil, errors.New("name images or remove all, not both")
		}
		err := r.all(ctx)
		return r.removed, err
	}
	var errs []error
	for _, name := range names {
		if err := r.byName(ctx, name); err != nil {
			errs = append(errs, explain(err))
		}
	}
	return r.removed, errors.Join(errs...)
}

type remover struct {
	store   *Store
	rt      *libimage.Runtime
	opts    RemoveOptions
	removed []Removal
}

// all removes every image with all its names. An image on which others build can
// be deleted before or after them.
func (r *remover) all(ctx context.Context) error {
	images, err := r.rt.ListImages(ctx, &libimage.ListImagesOptions{Filters: []string{"readonly=false"}})
	if err != nil {
		return explain(err)
	}
	var errs []error
	for _, image := range images {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := r.delete(ctx, image, ""); err != nil && !libimage.ErrorIsImageUnknown(err) {
			errs = append(errs, explain(err))
		}
	}
	return errors.Join(errs...)
}

// byName removes what a user's name means.
func (r *remover) byName(ctx context.Context, name string) error {
	// The name of a list means the list, not the image in it for this platform,
	// which has names of its own.
	image, resolved, err := find(r.rt, name, &libimage.LookupImageOptions{ManifestList: true})
	if err == nil && r.opts.Lists {
		_, err = r.rt.LookupManifestList(name)
	}
	switch {
	case libimage.ErrorIsImageUnknown(err) && r.opts.Ignore:
		return nil
	case err != nil:
		return err
	}
	if len(image.Names()) > 1 && slices.Contains(image.Names(), resolved) {
		if err := image.Untag(resolved); err != nil {
			return fmt.Errorf("untag %s: %w", resolved, err)
		}
		r.note(Removal{ID: image.ID(), Untagged: []string{resolved}})
		return nil
	}
	return r.delete(ctx, image, name)
}

// delete deletes an image with all its names, and then the images without a name
// that only it was built on. name is how the user called it; "" is by all.
func (r *remover) delete(ctx context.Context, image *libimage.Image, name string) error {
	id := image.ID()
	if name != "" && len(image.Names()) > 1 && !r.opts.Force {
		return fmt.Errorf("unable to delete image %q by ID with more than one tag (%s): please force removal", id, image.Names())
	}
	if err := r.release(ctx, image); err != nil {
		return err
	}
	parent, err := image.Parent(ctx)
	if err != nil {
		r.store.log.Debug("cannot tell what an image was built on", "image", id, "error", err)
		parent = nil
	}
	// Without names libimage takes all of an image's; parents it would remove
	// without asking whether a container uses them.
	reports, errs := r.rt.RemoveImages(ctx, nil, &libimage.RemoveImagesOptions{
		Filters: []string{"id=" + id}, Force: r.opts.Force, NoPrune: true,
	})
	for _, report := range reports {
		r.note(Removal{ID: report.ID, Untagged: report.Untagged, Deleted: report.Removed})
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if r.opts.NoPrune || parent == nil {
		return nil
	}
	if dangling, err := parent.IsDangling(ctx); err != nil || !dangling {
		return nil
	}
	if users, err := r.users(ctx, parent.ID()); err != nil || len(users.ours)+len(users.foreign)+len(users.building) > 0 {
		return err
	}
	return r.delete(ctx, parent, "")
}

// release sees that no container uses an image, removing them when forced to.
func (r *remover) release(ctx context.Context, image *libimage.Image) error {
	users, err := r.users(ctx, image.ID())
	if err != nil {
		return err
	}
	if r.opts.BuildContainers && len(users.foreign) == 0 && (len(users.ours) == 0 || r.opts.Force) {
		for _, id := range users.building {
			if err := r.store.store.DeleteContainer(id); err != nil && !errors.Is(err, storage.ErrContainerUnknown) {
				return fmt.Errorf("remove the build container %s of image %s: %w", shortID(id), shownName(image), err)
			}
		}
	}
	if len(users.foreign) > 0 {
		return asKind(ErrInUse, fmt.Errorf("image %s is in use by a container of another tool (%s): remove that with Podman or Buildah (`podman ps --all --external` shows it)",
			shownName(image), strings.Join(users.foreign, ", ")))
	}
	if len(users.ours) == 0 {
		return nil
	}
	if !r.opts.Force {
		return asKind(ErrInUse, fmt.Errorf("image %s used by %s: image is in use by a container", shownName(image), strings.Join(users.ours, ", ")))
	}
	if r.opts.RemoveContainers != nil {
		if err := r.opts.RemoveContainers(ctx, image.ID()); err != nil {
			return fmt.Errorf("remove the containers of image %s: %w", shortID(image.ID()), err)
		}
	}
	return nil
}

// users are the containers that use an image.
type users struct {
	ours     []string // vpod's, as InUse names them
	foreign  []string // other tools' containers, as people know them
	building []string // ids of those of Buildah that may go
}

func (r *remover) users(ctx context.Context, imageID string) (users, error) {
	var u users
	var err error
	if r.opts.InUse != nil {
		if u.ours, err = r.opts.InUse(ctx, imageID); err != nil {
			return u, fmt.Errorf("look for containers of image %s: %w", shortID(imageID), err)
		}
	}
	all, err := r.store.store.Containers()
	if err != nil {
		return u, err
	}
	known := len(u.ours) > 0
	for _, c := range all {
		if c.ImageID != imageID {
			continue
		}
		if _, ours := parseLayerMark(c.Metadata); !ours {
			if r.opts.BuildContainers && r.store.isBuildContainer(c.ID) {
				u.building = append(u.building, c.ID)
				continue
			}
			u.foreign = append(u.foreign, foreignName(c))
		} else if !known {
			u.ours = append(u.ours, shortID(c.ID)) // being created, or left behind
		}
	}
	return u, nil
}

// isBuildContainer reports whether a container of the store is a working container
// of Buildah, which keeps its state in the container's directory (buildah,
// buildah.go, stateFile).
func (s *Store) isBuildContainer(id string) bool {
	dir, err := s.store.ContainerDirectory(id)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, "buildah.json"))
	return err == nil
}

// shownName is how people know an image: by name, or by id when it has none.
func shownName(image *libimage.Image) string {
	if names := image.Names(); len(names) > 0 {
		return names[0]
	}
	return shortID(image.ID())
}

func foreignName(c storage.Container) string {
	if len(c.Names) > 0 {
		return c.Names[0]
	}
	return shortID(c.ID)
}

// note adds to what was done, one entry per image.
func (r *remover) note(n Removal) {
	for i := range r.removed {
		if r.removed[i].ID == n.ID {
			r.removed[i].Untagged = append(r.removed[i].Untagged, n.Untagged...)
			r.removed[i].Deleted = r.removed[i].Deleted || n.Deleted
			return
		}
	}
	r.removed = append(r.removed, n)
}
