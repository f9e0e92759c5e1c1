package engine

import (
	"context"

	"vpod/pkg/image"
)

// What images take of the disk.
type (
	ImagesUsage = image.Usage
	ImageUsage  = image.ImageUsage
)

// DiskUsage is what vpod's data takes of the disk. Sizes are bytes.
type DiskUsage struct {
	Images     ImagesUsage
	Containers []Listed // all of them, with their sizes
	Disks      []DiskOfImage
	Templates  []Template
}

// DiskOfImage is the disk made from an image.
type DiskOfImage struct {
	ImageDisk
	Names      []string // of the image; none when it is gone
	Containers int      // that run from it, or can again
}

// DiskUsage measures what vpod's data takes of the disk.
func (e *Engine) DiskUsage(ctx context.Context) (*DiskUsage, error) {
	var out DiskUsage
	var err error
	if out.Containers, err = e.List(ctx, ListOptions{All: true, Size: true}); err != nil {
		return nil, err
	}
	if out.Images, err = e.images().Usage(ctx, e.countHolders); err != nil {
		return nil, err
	}
	disks, err := e.disks().List()
	if err != nil {
		return nil, err
	}
	names := map[string][]string{}
	for _, img := range out.Images.Images {
		names[img.ID] = img.Names
	}
	for _, disk := range disks {
		n, err := e.countHolders(ctx, disk.ImageID)
		if err != nil {
			return nil, err
		}
		out.Disks = append(out.Disks, DiskOfImage{ImageDisk: disk, Names: names[disk.ImageID], Containers: n})
	}
	if out.Templates, err = e.Templates(ctx); err != nil {
		return nil, err
	}
	return &out, nil
}
