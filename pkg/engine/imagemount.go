package engine

import (
	"context"
	"errors"

	"vpod/pkg/image"
)

// MountedImage is an image whose files are readable on the host.
type MountedImage = image.Mounted

// MountImages makes images' files readable on the host.
func (e *Engine) MountImages(ctx context.Context, names []string, all bool) ([]MountedImage, error) {
	mounted, err := e.images().MountImages(ctx, names, all)
	return mounted, seenByNobody(err)
}

// MountedImages lists the images that are mounted.
func (e *Engine) MountedImages(ctx context.Context) ([]MountedImage, error) {
	mounted, err := e.images().MountedImages(ctx)
	return mounted, seenByNobody(err)
}

// UnmountImages undoes mounts of images and returns the ids of those that had any.
func (e *Engine) UnmountImages(ctx context.Context, names []string, all, force bool) ([]string, error) {
	done, err := e.images().UnmountImages(ctx, names, all, force)
	return done, seenByNobody(err)
}

// seenByNobody says what an ordinary user can do: a mount in a namespace of the
// command's own would end with the command.
func seenByNobody(err error) error {
	if !errors.Is(err, image.ErrNotInUserNamespace) {
		return err
	}
	return &HintError{
		Err:  errors.New("an ordinary user's mount is seen only in the user namespace it was made in, and this shell is in none"),
		Hint: "run it below `podman unshare` or `buildah unshare`, where the mounted files are seen, too",
	}
}
