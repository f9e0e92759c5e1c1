package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/image"
)

// images returns the image store, which opens itself when first used.
func (e *Engine) images() *image.Store {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.imageStore == nil {
		e.imageStore = image.Open(image.Options{
			Root:    e.opts.Paths.Root,
			RunRoot: e.opts.Paths.RunRoot,
			TempDir: filepath.Join(e.dirs.Cache(), "tmp"),
			Waiting: func(holder int) {
				e.opts.Notice(fmt.Sprintf("waiting for another process (%d) that uses the image store", holder))
			},
		}, e.opts.Log)
	}
	return e.imageStore
}

// ensureImage returns the image of a new container, fetched as the policy says.
func (e *Engine) ensureImage(ctx context.Context, opts CreateOptions) (image.Image, error) {
	img, err := e.Pull(ctx, opts.Image, opts.Pull)
	if p := opts.Pull.Platform; errors.Is(err, image.ErrNotFound) && p != (Platform{}) {
		return img, fmt.Errorf("image %s for platform %s: %w", opts.Image, path.Join(p.OS, p.Arch, p.Variant), err)
	}
	return img, err
}

// Pull fetches an image as the policy says and returns it.
func (e *Engine) Pull(ctx context.Context, name string, opts PullOptions) (Image, error) {
	got, err := e.pull(ctx, name, opts, false)
	if err != nil {
		return Image{}, err
	}
	return *got[0], nil
}

// PullAllTags fetches all images of a repository on a registry.
func (e *Engine) PullAllTags(ctx context.Context, repository string, opts PullOptions) ([]Image, error) {
	got, err := e.pull(ctx, repository, opts, true)
	images := make([]Image, len(got))
	for i, img := range got {
		images[i] = *img
	}
	return images, err
}

// pull fetches what a name stands for, one image at least.
func (e *Engine) pull(ctx context.Context, name string, opts PullOptions, allTags bool) ([]*Image, error) {
	policy, err := image.ParsePolicy(opts.Policy)
	if err != nil {
		return nil, err
	}
	return e.images().Pull(ctx, name, image.PullOptions{
		Policy:    policy,
		Platform:  image.Platform(opts.Platform),
		TLSVerify: opts.TLSVerify,
		AuthFile:  opts.AuthFile,
		Creds:     opts.Creds,
		CertDir:   opts.CertDir,
		Progress:  opts.Progress,
		AllTags:   allTags,

		Retry:          opts.Retry,
		DecryptionKeys: opts.DecryptionKeys,
	})
}

// Images lists images; with names, only those whose names match.
func (e *Engine) Images(ctx context.Context, reference string, filters []string, all bool) ([]ImageSummary, error) {
	return e.images().List(ctx, image.ListOptions{Filters: filters, Reference: reference, All: all, Labels: true, InUse: e.countHolders})
}

// countHolders counts the containers made from an image.
func (e *Engine) countHolders(ctx context.Context, imageID string) (int, error) {
	ids, err := e.holders(ctx, imageID)
	return len(ids), err
}

// LookupImage finds one image.
func (e *Engine) LookupImage(ctx context.Context, name string) (Image, error) {
	img, err := e.images().Lookup(ctx, name)
	if err != nil {
		return Image{}, err
	}
	return *img, nil
}

// ImageExists reports whether there is an image by that name.
func (e *Engine) ImageExists(ctx context.Context, name string) (bool, error) {
	return e.images().Exists(ctx, name)
}

// InspectImage describes an image as `podman image inspect` does.
func (e *Engine) InspectImage(ctx context.Context, name string) (*ImageInspect, error) {
	return e.images().Inspect(ctx, name)
}

// Tag gives an image more names.
func (e *Engine) Tag(ctx context.Context, name string, newNames []string) error {
	return e.images().Tag(ctx, name, newNames...)
}

// Untag takes names from an image; all of them when none is given.
func (e *Engine) Untag(ctx context.Context, name string, names []string) error {
	return e.images().Untag(ctx, name, names...)
}

// Load reads images from an archive or a directory and returns their names (an
// id where there is none). With input "" the archive comes from stdin.
func (e *Engine) Load(ctx context.Context, input string, stdin io.Reader, progress io.Writer) ([]string, error) {
	if input == "" {
		return e.images().LoadReader(ctx, stdin, progress)
	}
	return e.images().Load(ctx, input, progress)
}

// SaveOptions say how images are written.
type SaveOptions struct {
	Format   string // "docker-archive" (default), "oci-archive", "oci-dir" or "docker-dir"
	Output   string // path; "" is Stdout, archives only
	Stdout   io.Writer
	Compress bool
	Multi    bool // several images in one archive
	Progress io.Writer

	Uncompressed bool // leave the layers of OCI formats as they are
}

// Save writes images to an archive or a directory.
func (e *Engine) Save(ctx context.Context, names []string, opts SaveOptions) error {
	return e.images().Save(ctx, image.SaveOptions{
		Format:   image.Format(opts.Format),
		Names:    names,
		Multi:    opts.Multi,
		Output:   opts.Output,
		Writer:   opts.Stdout,
		Compress: opts.Compress,
		Progress: opts.Progress,

		Uncompressed: opts.Uncompressed,
	})
}

// RemoveImagesOptions say which images go and how.
type RemoveImagesOptions struct {
	Force   bool // remove containers made from them first, running ones too
	All     bool
	Ignore  bool // names that do not exist are passed over
	NoPrune bool // keep the images below that have no name
	Lists   bool // names are those of manifest lists, others are refused

	BuildContainers bool // working containers of Buildah go with the image they use
}

// RemoveImages removes names and images. Containers hold their image: it is
// refused, or, with Force, the containers are removed first.
func (e *Engine) RemoveImages(ctx context.Context, names []string, opts RemoveImagesOptions) ([]ImageRemoved, error) {
	e.sweepLayers(ctx) // one that nobody owns would hold its image
	found, err := e.images().Remove(ctx, names, image.RemoveOptions{
		Force:            opts.Force,
		All:              opts.All,
		Ignore:           opts.Ignore,
		NoPrune:          opts.NoPrune,
		Lists:            opts.Lists,
		BuildContainers:  opts.BuildContainers,
		InUse:            e.holderNames,
		RemoveContainers: e.removeHolders,
	})
	disks, diskErr := e.PruneDisks(ctx)
	removed := make([]ImageRemoved, 0, len(found))
	for _, r := range found {
		i := ImageRemoved{ID: r.ID, Untagged: r.Untagged, Deleted: r.Deleted}
		for _, d := range disks {
			if d.ImageID == r.ID {
				i.DiskBytes = d.SizeBytes
			}
		}
		removed = append(removed, i)
	}
	return removed, errors.Join(err, diskErr)
}

// PruneDisks removes the disks of images that are gone, also those another tool
// has removed, and returns them. A container keeps the disk it runs from.
func (e *Engine) PruneDisks(ctx context.Context) ([]ImageDisk, error) {
	list, err := e.images().List(ctx, image.ListOptions{All: true})
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, img := range list {
		there[img.ID] = true
	}
	var lookErr error
	removed, err := e.disks().Prune(ctx, func(imageID string) bool {
		if there[imageID] {
			return true
		}
		holders, err := e.holders(ctx, imageID)
		lookErr = errors.Join(lookErr, err)
		return err != nil || len(holders) > 0
	})
	if err := errors.Join(lookErr, err); err != nil {
		return removed, fmt.Errorf("remove disks of images that are gone: %w", err)
	}
	return removed, nil
}

// holders are the ids of the containers made from an image.
func (e *Engine) holders(ctx context.Context, imageID string) ([]string, error) {
	db, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	list, err := db.ByImage(ctx, imageID)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range list {
		if _, _, gone, err := e.observe(ctx, c); err != nil {
			return nil, err
		} else if !gone {
			ids = append(ids, c.Spec.ID)
		}
	}
	return ids, nil
}

// holderNames are the names of the containers made from an image.
func (e *Engine) holderNames(ctx context.Context, imageID string) ([]string, error) {
	held, err := e.holders(ctx, imageID)
	if err != nil {
		return nil, err
	}
	db, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(held))
	for _, id := range held {
		c, err := db.Get(ctx, id)
		switch {
		case err == nil:
			names = append(names, c.Spec.Name)
		case !errors.Is(err, errNoContainer): // it went just now
			return nil, err
		}
	}
	return names, nil
}

// removeHolders removes the containers made from an image.
func (e *Engine) removeHolders(ctx context.Context, imageID string) error {
	ids, err := e.holders(ctx, imageID)
	if err != nil {
		return err
	}
	zero := 0
	var errs []error
	for _, r := range e.Remove(ctx, Selection{Names: ids, Ignore: true}, RemoveOptions{Force: true, TimeoutSeconds: &zero}) {
		errs = append(errs, r.Err)
	}
	return errors.Join(errs...)
}

// infoImages describes the image store for info.
func (e *Engine) infoImages(ctx context.Context, out *InfoStore) error {
	var err error
	if out.GraphRoot, out.GraphDriverName, err = e.images().Root(ctx); err != nil {
		return err
	}
	if out.RunRoot, err = e.images().RunRoot(ctx); err != nil {
		return err
	}
	list, err := e.images().List(ctx, image.ListOptions{All: true})
	if err != nil {
		return err
	}
	out.ImageStore.Number = len(list)
	others, err := e.images().OtherDrivers(ctx)
	for _, driver := range others {
		out.Warnings = append(out.Warnings, fmt.Sprintf("the store also holds images of driver %s, which %s does not see: set driver = %q in storage.conf for all your tools", driver, out.GraphDriverName, driver))
	}
	return err
}

// completionTimeout bounds how long a shell waits for a completion.
const completionTimeout = 2 * time.Second

// CompleteContainers returns names and short ids of containers in the given
// states (any, when none is given), for shells. It never fails, it knows nothing then.
func (e *Engine) CompleteContainers(ctx context.Context, states ...container.State) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	all, err := e.observeAll(ctx)
	if err != nil {
		return nil
	}
	var out []string
	for _, c := range all {
		ok := len(states) == 0
		for _, s := range states {
			if c.Record.State == s || (s == container.Running && c.live != nil) {
				ok = true
			}
		}
		if ok {
			out = append(out, c.Spec.Name, c.Spec.ID[:12])
		}
	}
	return out
}

// CompleteImages returns names of images, for shells. It never fails.
func (e *Engine) CompleteImages(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	list, err := e.images().List(ctx, image.ListOptions{})
	if err != nil {
		return nil
	}
	var out []string
	for _, img := range list {
		out = append(out, img.Names...)
	}
	return out
}
