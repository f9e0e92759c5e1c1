package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containers/common/libimage"
)

// Summary is an image as a list shows it. Its configuration has not been read.
type Summary struct {
	ID           string
	Names        []string // references with a tag or digest; empty for one without a name
	RepoDigests  []string
	Digest       string
	Digests      []string
	Created      time.Time
	SizeBytes    int64
	ReadOnly     bool
	Dangling     bool   // no name, and no other image builds on it
	ParentID     string // image it builds on, when that is in the store
	ManifestList bool   // a list of images for several platforms
	Labels       map[string]string
	NamesHistory []string // names it has or had, the last one first
	Foreign      int      // containers of other tools that use it
}

// ListOptions choose images.
type ListOptions struct {
	// Filters are KEY=VALUE or KEY!=VALUE, as Podman's --filter: reference,
	// dangling, label, before, since (after), id, digest, readonly, intermediate,
	// containers, manifest, until.
	Filters []string
	// Reference shows only the names that match, as `images NAME`.
	Reference string
	// All also shows images without a name that others build on.
	All bool
	// Labels fills in the labels, for which every image's configuration is read.
	Labels bool
	// InUse counts vpod's containers that use an image; only asked for the filter
	// containers. nil is none.
	InUse func(ctx context.Context, imageID string) (int, error)
}

// filterKeys are what conditions can be about; it is the table of libimage.
var filterKeys = []string{"after", "before", "containers", "dangling", "digest", "id", "intermediate", "label", "manifest", "readonly", "reference", "since", "until"}

// checkFilters names a condition that there is none of. libimage would say that it had
// no value.
func checkFilters(filters []string) error {
	for _, f := range filters {
		key, _, ok := strings.Cut(f, "=")
		if key = strings.TrimSuffix(key, "!"); ok && !slices.Contains(filterKeys, key) {
			return fmt.Errorf("unsupported image filter %q: there are %s", key, strings.Join(filterKeys, ", "))
		}
	}
	return nil
}

// List returns the images of the store and of additional ones, newest first, each
// once.
func (s *Store) List(ctx context.Context, opts ListOptions) ([]Summary, error) {
	if err := checkFilters(opts.Filters); err != nil {
		return nil, err
	}
	usage, filters, err := splitUsage(opts.Filters)
	if err != nil {
		return nil, err
	}
	if opts.Reference != "" {
		filters = append(filters, "reference="+opts.Reference)
	}
	if !opts.All {
		filters = append(filters, "intermediate=false")
	}
	var list []Summary
	err = s.use(ctx, func(rt *libimage.Runtime) error {
		users, err := s.usersByImage()
		if err != nil {
			return err
		}
		choice := &libimage.ListImagesOptions{Filters: filters, SetListData: true}
		found, err := rt.ListImages(ctx, choice)
		if err != nil {
			// What builds on what cannot be told when one image is damaged.
			choice.SetListData = false
			if found, err = rt.ListImages(ctx, choice); err != nil {
				return err
			}
		}
		seen := make(map[string]bool)
		for _, image := range found {
			if seen[image.ID()] {
				continue // also in an additional store
			}
			seen[image.ID()] = true
			if chosen, err := usage.chooses(ctx, image.ID(), users[image.ID()], opts.InUse); err != nil {
				return err
			} else if !chosen {
				continue
			}
			summary, err := summarize(ctx, image, opts.Labels)
			if err != nil {
				// One damaged image must not hide the others.
				s.log.Warn("leaving out a damaged image; `rmi` removes it", "image", image.ID(), "error", err)
				continue
			}
			summary.Foreign = users[image.ID()].foreign
			list = append(list, summary)
		}
		return nil
	})
	slices.SortStableFunc(list, func(a, b Summary) int { return b.Created.Compare(a.Created) })
	return list, explain(err)
}

func summarize(ctx context.Context, image *libimage.Image, labels bool) (Summary, error) {
	sum := Summary{
		ID:       image.ID(),
		Names:    slices.Clone(image.Names()),
		Digest:   image.Digest().String(),
		Created:  image.Created(),
		ReadOnly: image.IsReadOnly(),

		NamesHistory: slices.Clone(image.NamesHistory()),
	}
	for _, d := range image.Digests() {
		sum.Digests = append(sum.Digests, d.String())
	}
	sum.Dangling = len(sum.Names) == 0
	if d := image.ListData.IsDangling; d != nil {
		sum.Dangling = *d
	}
	if parent := image.ListData.Parent; parent != nil {
		sum.ParentID = parent.ID()
	}
	var err error
	if sum.RepoDigests, err = image.RepoDigests(); err != nil {
		return sum, err
	}
	if sum.SizeBytes, err = image.Size(); err != nil {
		return sum, fmt.Errorf("size: %w", err)
	}
	if sum.ManifestList, err = image.IsManifestList(ctx); err != nil {
		return sum, err
	}
	if labels && !sum.ManifestList {
		if sum.Labels, err = image.Labels(ctx); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// InspectData is what `image inspect` prints; its JSON is Podman's.
type InspectData = libimage.ImageData

// Inspect describes an image in full.
func (s *Store) Inspect(ctx context.Context, name string) (*InspectData, error) {
	var data *InspectData
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, name, nil)
		if err != nil {
			return err
		}
		data, err = found.Inspect(ctx, &libimage.InspectOptions{WithSize: true, WithParent: true})
		if err != nil {
			return fmt.Errorf("inspect image %s: %w", name, err)
		}
		return nil
	})
	return data, explain(err)
}
