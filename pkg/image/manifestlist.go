package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containers/common/libimage"
	"github.com/containers/common/libimage/manifests"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/pkg/shortnames"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/containers/storage"
	"github.com/opencontainers/go-digest"
)

// A manifest list names images for several platforms. To the store it is an image
// without layers.

// ErrNotAList reports an image where a manifest list was wanted.
var ErrNotAList = libimage.ErrNotAManifestList

// ListEntry describes an image of a list; what is empty stays as it is.
type ListEntry struct {
	Annotations          map[string]string
	OS, OSVersion        string
	Arch, Variant        string
	Features, OSFeatures []string
}

func (e ListEntry) empty() bool {
	return len(e.Annotations)+len(e.Features)+len(e.OSFeatures) == 0 && e.OS+e.OSVersion+e.Arch+e.Variant == ""
}

// CreateListOptions say how a list is made.
type CreateListOptions struct {
	Access
	Images []string // as in AddToList
	All    bool     // all images of those that are lists themselves
	Amend  bool     // a list by that name that is there is added to
}

// CreateList makes a manifest list and returns its id. One that cannot be made
// whole is removed again.
func (s *Store) CreateList(ctx context.Context, name string, opts CreateListOptions) (string, error) {
	if err := opts.check(); err != nil {
		return "", err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	made := true
	list, err := rt.CreateManifestList(name)
	if errors.Is(err, storage.ErrDuplicateName) {
		if !opts.Amend {
			return "", fmt.Errorf("create manifest list %s: %w; to add to it, give --amend", name, err)
		}
		made = false
		list, err = rt.LookupManifestList(name)
	}
	if err != nil {
		return "", explain(fmt.Errorf("create manifest list %s: %w", name, err))
	}
	id := list.ID()
	for _, image := range opts.Images {
		if _, err := addToList(ctx, list, image, opts.All, opts.Access); err != nil {
			if made {
				_, undo := rt.RemoveImages(context.WithoutCancel(ctx), []string{id}, &libimage.RemoveImagesOptions{LookupManifest: true, Force: true})
				err = errors.Join(append([]error{err}, undo...)...)
			}
			return "", explain(fmt.Errorf("add %s to manifest list %s: %w", image, name, err))
		}
	}
	return id, nil
}

// AddToListOptions say how images are added to a list.
type AddToListOptions struct {
	Access
	All   bool
	Entry ListEntry
}

// AddToList adds images, of registries or of the store, to a list of the store and
// returns its id.
func (s *Store) AddToList(ctx context.Context, name string, images []string, opts AddToListOptions) (string, error) {
	if err := opts.check(); err != nil {
		return "", err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	list, err := rt.LookupManifestList(name)
	if err != nil {
		return "", explain(err)
	}
	for _, image := range images {
		d, err := addToList(ctx, list, image, opts.All, opts.Access)
		if err != nil {
			return "", explain(fmt.Errorf("add %s to manifest list %s: %w", image, name, err))
		}
		if !opts.Entry.empty() {
			if err := s.editList(rt, list.ID(), func(list *libimage.ManifestList) error { return describeEntry(list, d, opts.Entry) }); err != nil {
				return "", explain(fmt.Errorf("describe %s in manifest list %s: %w", image, name, err))
			}
		}
	}
	return list.ID(), nil
}

func addToList(ctx context.Context, list *libimage.ManifestList, image string, all bool, access Access) (digest.Digest, error) {
	opts := &libimage.ManifestListAddOptions{All: all, AuthFilePath: access.AuthFile, CertDirPath: access.CertDir}
	if access.TLSVerify != nil {
		opts.InsecureSkipTLSVerify = imgtypes.NewOptionalBool(!*access.TLSVerify)
	}
	opts.Username, opts.Password, _ = strings.Cut(access.Creds, ":")
	return list.Add(ctx, image, opts)
}

func describeEntry(list *libimage.ManifestList, d digest.Digest, e ListEntry) error {
	return list.AnnotateInstance(d, &libimage.ManifestListAnnotateOptions{
		Annotations: e.Annotations, OS: e.OS, OSVersion: e.OSVersion, OSFeatures: e.OSFeatures,
		Architecture: e.Arch, Variant: e.Variant, Features: e.Features,
	})
}

// editList changes a list while nobody else does: two that read it, changed it and
// wrote it back at once would lose one change.
func (s *Store) editList(rt *libimage.Runtime, id string, edit func(*libimage.ManifestList) error) error {
	lock, err := manifests.LockerForImage(s.store, id)
	if err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	list, err := rt.LookupManifestList(id)
	if err != nil {
		return err
	}
	return edit(list)
}

// DescribeInList changes what a list says of an image, named by digest or as one of
// the store, and returns the list's id.
func (s *Store) DescribeInList(ctx context.Context, name, image string, entry ListEntry) (string, error) {
	id, err := s.editEntry(ctx, name, image, func(list *libimage.ManifestList, d digest.Digest) error {
		return describeEntry(list, d, entry)
	})
	if err != nil {
		return "", explain(fmt.Errorf("annotate %s in manifest list %s: %w", image, name, err))
	}
	return id, nil
}

// RemoveFromList takes an image out of a list and returns the list's id.
func (s *Store) RemoveFromList(ctx context.Context, name, image string) (string, error) {
	id, err := s.editEntry(ctx, name, image, func(list *libimage.ManifestList, d digest.Digest) error {
		return list.RemoveInstance(d)
	})
	if err != nil {
		return "", explain(fmt.Errorf("remove %s from manifest list %s: %w", image, name, err))
	}
	return id, nil
}

// editEntry changes one entry of a list.
func (s *Store) editEntry(ctx context.Context, name, image string, edit func(*libimage.ManifestList, digest.Digest) error) (string, error) {
	rt, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	found, err := rt.LookupManifestList(name)
	if err != nil {
		return "", err
	}
	id := found.ID()
	err = s.editList(rt, id, func(list *libimage.ManifestList) error {
		d, err := entryDigest(rt, list, image)
		if err != nil {
			return err
		}
		return edit(list, d)
	})
	return id, err
}

// entryDigest finds the entry that is meant by a digest or the name of an image of
// the store.
func entryDigest(rt *libimage.Runtime, list *libimage.ManifestList, image string) (digest.Digest, error) {
	data, err := list.Inspect()
	if err != nil {
		return "", err
	}
	candidates := []digest.Digest{digest.Digest(image)}
	if _, err := digest.Parse(image); err != nil {
		found, _, err := find(rt, image, nil)
		if err != nil {
			return "", err
		}
		candidates = found.Digests()
	}
	for _, entry := range data.Manifests {
		if slices.Contains(candidates, entry.Digest) {
			return entry.Digest, nil
		}
	}
	return "", errors.New("the list has no such image")
}

// ListExists reports whether there is a list by that name. An image by it is
// ErrNotAList.
func (s *Store) ListExists(ctx context.Context, name string) (bool, error) {
	var there bool
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		_, err := rt.LookupManifestList(name)
		if libimage.ErrorIsImageUnknown(err) {
			return nil
		}
		there = err == nil
		return err
	})
	return there, explain(err)
}

// InspectList returns the JSON of a list of the store or, when there is none by
// that name, of whatever manifest a registry has for it. That is only known to be
// JSON.
func (s *Store) InspectList(ctx context.Context, name string, access Access) (json.RawMessage, error) {
	if err := access.check(); err != nil {
		return nil, err
	}
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	list, err := rt.LookupManifestList(name)
	if err == nil {
		data, err := list.Inspect()
		if err != nil {
			return nil, fmt.Errorf("inspect manifest list %s: %w", name, err)
		}
		return json.Marshal(data)
	}
	if !libimage.ErrorIsImageUnknown(err) && !errors.Is(err, ErrNotAList) {
		return nil, explain(err)
	}
	sys := rt.SystemContext()
	access.apply(sys)
	raw, remoteErr := remoteManifest(ctx, sys, name)
	switch {
	case remoteErr == nil && json.Valid(raw):
		return raw, nil
	case remoteErr == nil:
		return nil, fmt.Errorf("manifest of %s: it is not JSON", name)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, explain(fmt.Errorf("no manifest list %s in the store (%w), and none on a registry: %w", name, err, remoteErr))
}

// remoteManifest asks the registries that a name may mean.
func remoteManifest(ctx context.Context, sys *imgtypes.SystemContext, name string) ([]byte, error) {
	resolved, err := shortnames.Resolve(sys, strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, candidate := range resolved.PullCandidates {
		ref, err := docker.NewReference(candidate.Value)
		if err != nil {
			return nil, err
		}
		src, err := ref.NewImageSource(ctx, sys)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		raw, _, err := src.GetManifest(ctx, nil)
		src.Close()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if manifest.GuessMIMEType(raw) == "" {
			errs = append(errs, fmt.Errorf("%s: not a manifest", candidate.Value))
			continue
		}
		return raw, nil
	}
	return nil, errors.Join(errs...)
}
