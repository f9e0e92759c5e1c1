package image

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/transports/alltransports"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
)

// RemoteOptions say how an image outside of the store is looked at.
type RemoteOptions struct {
	Place
	Platform Platform // which of a list is meant
	Retry    Retry
	NoTags   bool // do not ask for the tags of the repository
}

// Remote is what is known of an image outside of the store, as `skopeo inspect`
// prints it.
type Remote struct {
	Name          string `json:",omitempty"`
	Tag           string `json:",omitempty"`
	Digest        digest.Digest
	RepoTags      []string
	Created       *time.Time
	DockerVersion string
	Labels        map[string]string
	Architecture  string
	Variant       string `json:",omitempty"`
	Os            string
	Layers        []string
	LayersData    []imgtypes.ImageInspectLayer
	Env           []string
}

// IsRemote reports whether a name begins with a transport other than the store's.
func IsRemote(name string) bool {
	transport := alltransports.TransportFromImageName(name)
	return transport != nil && transport.Name() != "containers-storage"
}

// InspectRemote describes an image that a name with a transport stands for, and
// fetches no layer of it. The store is not touched.
func (s *Store) InspectRemote(ctx context.Context, name string, opts RemoteOptions) (*Remote, error) {
	var out *Remote
	err := s.withSource(ctx, name, opts, func(ctx context.Context, sys *imgtypes.SystemContext, src imgtypes.ImageSource) error {
		top, _, err := src.GetManifest(ctx, nil)
		if err != nil {
			return err
		}
		img, err := image.FromUnparsedImage(ctx, sys, image.UnparsedInstance(src, nil))
		if err != nil {
			return err
		}
		info, err := img.Inspect(ctx)
		if err != nil {
			return err
		}
		out = &Remote{
			Tag: info.Tag, Created: info.Created, DockerVersion: info.DockerVersion, Labels: info.Labels,
			Architecture: info.Architecture, Variant: info.Variant, Os: info.Os, Layers: info.Layers,
			LayersData: info.LayersData, Env: info.Env, RepoTags: []string{},
		}
		if out.Digest, err = manifest.Digest(top); err != nil {
			return err
		}
		if named := img.Reference().DockerReference(); named != nil {
			out.Name = named.Name()
		}
		if img.Reference().Transport().Name() != docker.Transport.Name() || opts.NoTags {
			return nil
		}
		tags, err := docker.GetRepositoryTags(ctx, sys, img.Reference())
		if err != nil {
			// Who may read an image may not always list its repository.
			s.log.Warn("tags of the repository", "image", name, "error", err)
			return nil
		}
		out.RepoTags = tags
		return nil
	})
	return out, err
}

// RemoteManifest returns the manifest a name stands for as it is: of a list, the
// list.
func (s *Store) RemoteManifest(ctx context.Context, name string, opts RemoteOptions) ([]byte, error) {
	var out []byte
	err := s.withSource(ctx, name, opts, func(ctx context.Context, _ *imgtypes.SystemContext, src imgtypes.ImageSource) (err error) {
		out, _, err = src.GetManifest(ctx, nil)
		return err
	})
	return out, err
}

// RemoteConfig returns an image's configuration: with raw as it is, else in
// OCI's form.
func (s *Store) RemoteConfig(ctx context.Context, name string, raw bool, opts RemoteOptions) ([]byte, error) {
	var out []byte
	err := s.withSource(ctx, name, opts, func(ctx context.Context, sys *imgtypes.SystemContext, src imgtypes.ImageSource) error {
		img, err := image.FromUnparsedImage(ctx, sys, image.UnparsedInstance(src, nil))
		if err != nil {
			return err
		}
		if raw {
			out, err = img.ConfigBlob(ctx)
			return err
		}
		config, err := img.OCIConfig(ctx)
		if err != nil {
			return err
		}
		out, err = json.Marshal(config)
		return err
	})
	return out, err
}

// withSource has look read an image outside of the store.
func (s *Store) withSource(ctx context.Context, name string, opts RemoteOptions, look func(context.Context, *imgtypes.SystemContext, imgtypes.ImageSource) error) error {
	ref, err := alltransports.ParseImageName(name)
	if err != nil {
		return fmt.Errorf("image %q: %w", name, err)
	}
	sys, err := s.context(opts.Place)
	if err != nil {
		return err
	}
	sys.OSChoice, sys.ArchitectureChoice, sys.VariantChoice = opts.Platform.OS, opts.Platform.Arch, opts.Platform.Variant
	err = s.attempts(ctx, opts.Retry, func(ctx context.Context, _ chan imgtypes.ProgressProperties) error {
		src, err := ref.NewImageSource(ctx, sys)
		if err != nil {
			return err
		}
		defer src.Close()
		return look(ctx, sys, src)
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return explain(fmt.Errorf("inspect %s: %w", strings.TrimPrefix(name, "//"), err))
}
