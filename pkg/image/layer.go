package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"
)

// Layer is a writable layer over an image, for containers whose files are shared
// with the machine rather than put on disks. To the store it is a container, and
// while it is there, Podman and Buildah leave the image alone, too.
type Layer struct {
	ID        string // the container's
	ImageID   string
	Created   time.Time
	Ephemeral bool // its files need not survive a crash of the host
}

// layerMark is the metadata by which vpod knows its layers among containers of
// other tools.
type layerMark struct {
	VPod *struct {
		Version   int  `json:"version"`
		Ephemeral bool `json:"ephemeral,omitempty"`
	} `json:"vpod"`
}

const layerMarkVersion = 1

// parseLayerMark reports whether metadata is a layer's of ours.
func parseLayerMark(metadata string) (layerMark, bool) {
	var m layerMark
	err := json.Unmarshal([]byte(metadata), &m)
	return m, err == nil && m.VPod != nil
}

// layerName is the name a layer has in `podman ps --external`. Names are shared
// with Podman's containers, ids are not.
func layerName(id string) string { return "vpod-" + shortID(id) }

// CreateLayer makes a writable layer over an image for the container id.
func (s *Store) CreateLayer(ctx context.Context, id, imageID string, ephemeral bool) error {
	var mark layerMark
	mark.VPod = &struct {
		Version   int  `json:"version"`
		Ephemeral bool `json:"ephemeral,omitempty"`
	}{layerMarkVersion, ephemeral}
	metadata, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	return explain(s.use(ctx, func(*libimage.Runtime) error {
		// Volatile: overlayfs need not sync when it is unmounted.
		_, err := s.store.CreateContainer(id, []string{layerName(id)}, imageID, "", string(metadata), &storage.ContainerOptions{Volatile: ephemeral})
		if err != nil {
			return fmt.Errorf("create a writable layer over image %s: %w", shortID(imageID), err)
		}
		return nil
	}))
}

// MountLayer mounts a layer read-write and returns where. The caller must hold
// the container's lock: mounts that the store still counts are a killed
// process's, and are undone first; a layer mounted twice at once would be damaged.
// In a user namespace the mount is seen by this process and its children alone,
// and ends with the last of them.
func (s *Store) MountLayer(ctx context.Context, id string) (path string, err error) {
	err = s.use(ctx, func(*libimage.Runtime) error {
		if err := s.unmountLayer(id); err != nil {
			return err
		}
		if path, err = s.store.Mount(id, ""); err != nil {
			return err
		}
		path, err = filepath.EvalSymlinks(path)
		return err
	})
	if err != nil {
		return "", explain(fmt.Errorf("mount the writable layer of %s: %w", shortID(id), err))
	}
	return path, nil
}

// UnmountLayer undoes all mounts of a layer; that there are none is no error.
func (s *Store) UnmountLayer(ctx context.Context, id string) error {
	err := s.use(ctx, func(*libimage.Runtime) error { return s.unmountLayer(id) })
	if err != nil {
		return fmt.Errorf("unmount the writable layer of %s: %w", shortID(id), err)
	}
	return nil
}

func (s *Store) unmountLayer(id string) error {
	if n, err := s.store.Mounted(id); err != nil || n == 0 {
		return err
	}
	_, err := s.store.Unmount(id, true)
	if errors.Is(err, storage.ErrLayerNotMounted) {
		return nil
	}
	return err
}

// DeleteLayer deletes a layer with all that was written to it, mounted or not;
// that there is none is no error. A container of another tool is not touched.
func (s *Store) DeleteLayer(ctx context.Context, id string) error {
	err := s.use(ctx, func(*libimage.Runtime) error {
		c, err := s.store.Container(id)
		if errors.Is(err, storage.ErrContainerUnknown) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, ours := parseLayerMark(c.Metadata); !ours {
			return fmt.Errorf("container %s of the image store was not made by vpod", shortID(id))
		}
		if err := s.unmountLayer(c.ID); err != nil {
			return err
		}
		if err := s.store.DeleteContainer(c.ID); err != nil && !errors.Is(err, storage.ErrContainerUnknown) && !errors.Is(err, storage.ErrNotAContainer) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete the writable layer of %s: %w", shortID(id), err)
	}
	return nil
}

// Layers returns vpod's layers.
func (s *Store) Layers(ctx context.Context) ([]Layer, error) {
	var layers []Layer
	err := s.use(ctx, func(*libimage.Runtime) error {
		all, err := s.store.Containers()
		for _, c := range all {
			if mark, ours := parseLayerMark(c.Metadata); ours {
				layers = append(layers, Layer{ID: c.ID, ImageID: c.ImageID, Created: c.Created, Ephemeral: mark.VPod.Ephemeral})
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list writable layers: %w", err)
	}
	return layers, nil
}
