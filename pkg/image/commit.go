package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"
	"github.com/opencontainers/go-digest"
)

// CommitOptions say what image to make of what a container has changed.
type CommitOptions struct {
	Base string // id of the image that the container was made from
	Name string // of the new image; "" is none

	Format    string // "oci" (default) or "docker"
	Author    string
	Message   string          // with "docker" alone
	Changes   []string        // instructions of a Containerfile, as "CMD /bin/sh"
	Override  []byte          // JSON of Docker's configuration, to be merged last; nil is none
	Container ContainerConfig // the container's own
	BaseName  string          // for the history
	Squash    bool            // the layer holds all files, not only those changed

	Progress io.Writer // nil is quiet
}

// ContainerConfig is what a container's configuration replaces of its image's.
type ContainerConfig struct {
	Entrypoint, Cmd, Env []string
	Labels               map[string]string
	User, WorkDir        string // "" leaves the image's
	Ports                []string
}

// PrepareCommit refuses what Commit could not do with opts, before anybody waits for
// the container's files.
func (s *Store) PrepareCommit(ctx context.Context, opts CommitOptions) error {
	if opts.Name != "" {
		if _, err := libimage.NormalizeName(opts.Name); err != nil {
			return fmt.Errorf("commit as %s: %w", opts.Name, err)
		}
	}
	if _, err := opts.plan(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if _, err := s.openBulk(ctx); err != nil {
		return err
	}
	_, err := s.Lookup(ctx, opts.Base)
	return err
}

// Spool keeps what r holds in a file without a name. The caller closes it.
func (s *Store) Spool(ctx context.Context, r io.Reader) (*os.File, error) {
	rt, err := s.openBulk(ctx)
	if err != nil {
		return nil, err
	}
	return spool(ctx, rt.SystemContext().BigFilesTemporaryDir, r)
}

// Commit makes an image of another one and a layer, an uncompressed tar archive, and
// returns its id, 64 hex digits. The layer may be anybody's: it is unpacked like that
// of any image.
func (s *Store) Commit(ctx context.Context, layer *os.File, opts CommitOptions) (id string, err error) {
	plan, err := opts.plan()
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	base, err := s.openedConfig(ctx, opts.Base)
	if err != nil {
		return "", err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	err = s.use(ctx, func(*libimage.Runtime) error {
		image, err := s.store.Image(opts.Base)
		if err != nil {
			return err
		}
		below := image.TopLayer
		if opts.Squash {
			below = ""
		}
		opts.say("Copying the files")
		top, _, err := s.store.PutLayer("", below, nil, "", false, nil, ctxReader{ctx, layer})
		if err != nil {
			return fmt.Errorf("unpack the files: %w", err)
		}
		if id, err = s.putImage(top, base, plan, opts); err == nil {
			return nil
		}
		if dropErr := s.store.DeleteLayer(top.ID); !errors.Is(dropErr, storage.ErrLayerUnknown) { // gone with its image
			err = errors.Join(err, dropErr)
		}
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", explain(fmt.Errorf("commit: %w", err))
	}
	return id, nil
}

func (o *CommitOptions) say(what string) {
	if o.Progress != nil {
		fmt.Fprintln(o.Progress, what)
	}
}

// openedConfig returns the configuration of an image, as it is stored.
func (s *Store) openedConfig(ctx context.Context, id string) (blob []byte, err error) {
	err = s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, id, nil)
		if err != nil {
			return err
		}
		ref, err := found.StorageReference()
		if err != nil {
			return err
		}
		opened, err := ref.NewImage(ctx, rt.SystemContext())
		if err != nil {
			return err
		}
		defer opened.Close()
		blob, err = opened.ConfigBlob(ctx)
		return err
	})
	return blob, explain(err)
}

// putImage writes down the image whose top layer is there.
func (s *Store) putImage(top *storage.Layer, base []byte, plan *commitPlan, opts CommitOptions) (string, error) {
	layers, err := s.chain(top)
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	config, err := newConfig(base, plan, layers, now, opts)
	if err != nil {
		return "", err
	}
	manifest, err := newManifest(config, layers, opts.Format)
	if err != nil {
		return "", err
	}
	configDigest, manifestDigest := digest.FromBytes(config), digest.FromBytes(manifest)
	opts.say("Writing manifest to image destination")
	// The keys are those of containers/image's storage transport.
	image, err := s.store.CreateImage(configDigest.Encoded(), nil, top.ID, "{}", &storage.ImageOptions{
		CreationDate: now,
		Digest:       manifestDigest,
		BigData: []storage.ImageBigDataOption{
			{Key: configDigest.String(), Data: config, Digest: configDigest},
			{Key: storage.ImageDigestManifestBigDataNamePrefix + "-" + manifestDigest.String(), Data: manifest, Digest: manifestDigest},
			{Key: storage.ImageDigestBigDataKey, Data: manifest, Digest: manifestDigest},
		},
	})
	if err != nil {
		return "", fmt.Errorf("write the image down: %w", err)
	}
	if opts.Name == "" {
		return image.ID, nil
	}
	name, err := libimage.NormalizeName(opts.Name)
	if err != nil {
		return "", err
	}
	if err := s.store.AddNames(image.ID, []string{name.String()}); err != nil { // another image loses the name
		_, dropErr := s.store.DeleteImage(image.ID, true)
		return "", errors.Join(fmt.Errorf("name the image %s: %w", opts.Name, err), dropErr)
	}
	return image.ID, nil
}

// chain returns a layer and those below it, the lowest first.
func (s *Store) chain(top *storage.Layer) ([]*storage.Layer, error) {
	layers := []*storage.Layer{top}
	for layers[0].Parent != "" {
		below, err := s.store.Layer(layers[0].Parent)
		if err != nil {
			return nil, err
		}
		layers = append([]*storage.Layer{below}, layers...)
	}
	for _, l := range layers {
		if l.UncompressedDigest == "" {
			return nil, fmt.Errorf("layer %s was pulled in parts, and the digest of the whole is not known: use --squash", shortID(l.ID))
		}
	}
	return layers, nil
}
