package image

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"
)

// Usage is what images take of the disk.
type Usage struct {
	Images           []ImageUsage // each once, newest first
	TotalBytes       int64        // layers that images share are counted once
	ReclaimableBytes int64        // what goes when all images that nobody uses are removed
}

// ImageUsage is what one image takes.
type ImageUsage struct {
	ID          string
	Names       []string
	Created     time.Time
	SharedBytes int64 // of layers that other images have, too
	UniqueBytes int64 // of the rest
	Containers  int   // that use it: of other tools, and those InUse counted
}

// Usage measures the images of the store. inUse counts vpod's containers that use
// an image.
func (s *Store) Usage(ctx context.Context, inUse func(ctx context.Context, imageID string) (int, error)) (Usage, error) {
	var usage Usage
	err := s.use(ctx, func(*libimage.Runtime) error {
		images, err := s.store.Images()
		if err != nil {
			return err
		}
		all, err := s.store.Layers()
		if err != nil {
			return err
		}
		users, err := s.usersByImage()
		if err != nil {
			return err
		}
		layers := make(map[string]storage.Layer, len(all))
		for _, l := range all {
			if l.UncompressedSize < 0 { // unknown: made here, not unpacked
				if l.UncompressedSize, err = s.store.DiffSize("", l.ID); err != nil {
					return fmt.Errorf("size of layer %s: %w", shortID(l.ID), err)
				}
			}
			layers[l.ID] = l
		}
		counts := make(map[string]int, len(images))
		for _, image := range images {
			ours, err := inUse(ctx, image.ID)
			if err != nil {
				return err
			}
			counts[image.ID] = ours + users[image.ID].foreign
		}
		usage = measure(images, layers, counts)
		return nil
	})
	return usage, explain(err)
}

// measure adds up what images take. users counts the containers of each.
func measure(images []storage.Image, layers map[string]storage.Layer, users map[string]int) Usage {
	var usage Usage
	having, needed := map[string]int{}, map[string]bool{} // layers: by how many images, and whether by one that is used
	for _, image := range images {
		for id := range imageLayers(image, layers) {
			having[id]++
			needed[id] = needed[id] || users[image.ID] > 0
		}
	}
	for id := range having {
		usage.TotalBytes += layers[id].UncompressedSize
		if !needed[id] {
			usage.ReclaimableBytes += layers[id].UncompressedSize
		}
	}
	for _, image := range images {
		one := ImageUsage{ID: image.ID, Names: slices.Clone(image.Names), Created: image.Created, Containers: users[image.ID]}
		for id := range imageLayers(image, layers) {
			if having[id] > 1 {
				one.SharedBytes += layers[id].UncompressedSize
			} else {
				one.UniqueBytes += layers[id].UncompressedSize
			}
		}
		for _, size := range image.BigDataSizes { // manifests, configuration, signatures
			one.UniqueBytes += size
			usage.TotalBytes += size
			if one.Containers == 0 {
				usage.ReclaimableBytes += size
			}
		}
		usage.Images = append(usage.Images, one)
	}
	slices.SortStableFunc(usage.Images, func(a, b ImageUsage) int { return b.Created.Compare(a.Created) })
	return usage
}

// imageLayers is the set of an image's layers. One that the store has lost ends it.
func imageLayers(image storage.Image, layers map[string]storage.Layer) map[string]bool {
	set := map[string]bool{}
	for _, id := range append([]string{image.TopLayer}, image.MappedTopLayers...) {
		for id != "" && !set[id] {
			l, there := layers[id]
			if !there {
				break
			}
			set[id] = true
			id = l.Parent
		}
	}
	return set
}
