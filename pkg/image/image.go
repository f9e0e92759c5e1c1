package image

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/containers/common/libimage"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/containers/storage"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an image of the store with what its configuration says.
type Image struct {
	ID          string   // 64 hex digits
	Name        string   // what it was looked up by, resolved: a reference, or the ID when that was asked for
	Names       []string // references with a tag or digest, as the store has them
	RepoDigests []string // "registry/repo@sha256:…", sorted
	Digest      string   // of its manifest, "sha256:…"
	Created     time.Time
	SizeBytes   int64 // of its layers, unpacked, and its metadata
	ReadOnly    bool  // it lies in an additional store

	OS, Arch, Variant string // as "linux", "amd64", ""; may be empty in old images

	Config      ociv1.ImageConfig // Env, Cmd, Entrypoint, User, WorkingDir, ExposedPorts, Volumes, StopSignal, Labels
	Healthcheck json.RawMessage   // Docker's Healthcheck object, or nil
	Shell       []string          // Docker's Shell, what shell-form health checks run in; or nil
	History     []ociv1.History
	Layers      []string // digests of the unpacked layers, lowest first
}

// Foreign reports whether the image is for another operating system or
// processor than the machine's. Images that do not say are taken for ours.
func (i *Image) Foreign() bool {
	return i.OS != "" && i.OS != "linux" || i.Arch != "" && i.Arch != runtime.GOARCH
}

// Platform is the platform the image is for, as "linux/arm64/v8".
func (i *Image) Platform() string {
	parts := []string{i.OS, i.Arch, i.Variant}
	return strings.TrimRight(strings.Join(parts, "/"), "/")
}

// Lookup finds an image. Its error is ErrNotFound when there is none by that
// name; a name on a registry is not asked for there.
func (s *Store) Lookup(ctx context.Context, name string) (*Image, error) {
	var image *Image
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		found, resolved, err := find(rt, name, nil)
		if err != nil {
			return err
		}
		image, err = s.read(ctx, rt, found)
		if err != nil {
			return fmt.Errorf("read image %s: %w", name, err)
		}
		image.Name = resolved
		if resolved == "" || isID(resolved) {
			image.Name = image.ID
		}
		return nil
	})
	return image, explain(err)
}

// find is LookupImage whose error names the image in every case.
func find(rt *libimage.Runtime, name string, opts *libimage.LookupImageOptions) (image *libimage.Image, resolved string, err error) {
	image, resolved, err = rt.LookupImage(name, opts)
	if err != nil && err.Error() == storage.ErrImageUnknown.Error() {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return image, resolved, err
}

// Exists reports whether there is an image by that name.
func (s *Store) Exists(ctx context.Context, name string) (bool, error) {
	var found bool
	err := s.use(ctx, func(rt *libimage.Runtime) (err error) {
		found, err = rt.Exists(name)
		return err
	})
	return found, explain(err)
}

// dockerConfig is what Docker's image configuration has beyond OCI's. Builders
// put it into OCI images too.
type dockerConfig struct {
	Config, ContainerConfig struct {
		Healthcheck json.RawMessage
		Shell       []string
	}
}

// UnmarshalJSON reads the two configurations; "container_config" is an old
// place for the health check.
func (c *dockerConfig) UnmarshalJSON(data []byte) error {
	type part = struct {
		Healthcheck json.RawMessage
		Shell       []string
	}
	var both struct {
		Config          part `json:"config"`
		ContainerConfig part `json:"container_config"`
	}
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	c.Config, c.ContainerConfig = both.Config, both.ContainerConfig
	return nil
}

// healthcheck returns the health check and the shell it runs in.
func (c *dockerConfig) healthcheck() (check json.RawMessage, shell []string) {
	for _, raw := range []json.RawMessage{c.Config.Healthcheck, c.ContainerConfig.Healthcheck} {
		if len(raw) != 0 && string(raw) != "null" {
			return raw, c.Config.Shell
		}
	}
	return nil, c.Config.Shell
}

// read puts an image's description together.
func (s *Store) read(ctx context.Context, rt *libimage.Runtime, found *libimage.Image) (*Image, error) {
	image := &Image{
		ID:       found.ID(),
		Names:    slices.Clone(found.Names()),
		Digest:   found.Digest().String(),
		Created:  found.Created(),
		ReadOnly: found.IsReadOnly(),
	}
	var err error
	if image.RepoDigests, err = found.RepoDigests(); err != nil {
		return nil, err
	}
	if image.SizeBytes, err = found.Size(); err != nil {
		return nil, err
	}
	ref, err := found.StorageReference()
	if err != nil {
		return nil, err
	}
	opened, err := ref.NewImage(ctx, rt.SystemContext())
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if err := image.readConfig(ctx, opened); err != nil {
		return nil, err
	}
	return image, nil
}

// readConfig fills in what the image's configuration says.
func (i *Image) readConfig(ctx context.Context, opened imgtypes.Image) error {
	config, err := opened.OCIConfig(ctx)
	if err != nil {
		return err
	}
	i.OS, i.Arch, i.Variant = config.OS, config.Architecture, config.Variant
	i.Config, i.History = config.Config, config.History
	for _, layer := range config.RootFS.DiffIDs {
		i.Layers = append(i.Layers, layer.String())
	}
	if config.Created != nil {
		i.Created = *config.Created
	}
	blob, err := opened.ConfigBlob(ctx)
	if err != nil {
		return err
	}
	if len(blob) == 0 {
		return nil // Docker's oldest format has no configuration of its own
	}
	var docker dockerConfig
	if err := json.Unmarshal(blob, &docker); err != nil {
		return fmt.Errorf("parse its configuration: %w", err)
	}
	i.Healthcheck, i.Shell = docker.healthcheck()
	return nil
}
