package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containers/common/pkg/config"
	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/signature"
	istorage "github.com/containers/image/v5/storage"
	"github.com/containers/image/v5/transports"
	"github.com/containers/image/v5/transports/alltransports"
	imgtypes "github.com/containers/image/v5/types"
)

// Place is one end of a copy: how it is reached.
type Place struct {
	Access
	SharedBlobs string // directory where OCI layouts ("oci:") keep blobs in common
	DockerHost  string // of "docker-daemon:"
}

// CopyOptions say how images are copied between any two places. The zero value
// copies one image, for this machine, as it is.
type CopyOptions struct {
	Source, Dest Place
	Platform     Platform // which of a list is copied
	All          bool     // copy all images of a list, and the list
	IndexOnly    bool     // copy the list alone

	Retry           Retry
	Compression     Compression
	Sign            Signing
	Encrypt         Encryption
	DecryptionKeys  []string // none leaves encrypted layers as they are
	Format          string   // as in PushOptions
	PreserveDigests bool     // fail rather than change a manifest

	RemoveSignatures   bool
	DirCompress        bool     // compress layers in "dir:"
	DirDecompress      bool     // decompress them there
	AcceptUncompressed bool     // leave layers in "oci:" as they are
	PrecomputeDigests  bool     // look for a layer on the registry before it is compressed and sent
	AdditionalTags     []string // in "docker-archive:"

	Progress io.Writer // as in PullOptions
}

// Copy copies an image from one place to another; both names begin with a
// transport. The store takes part only if one of them is containers-storage. It
// returns the digest of the manifest that was written.
func (s *Store) Copy(ctx context.Context, source, dest string, opts CopyOptions) (string, error) {
	src, err := s.place(ctx, "source", source)
	if err != nil {
		return "", err
	}
	dst, err := s.place(ctx, "destination", dest)
	if err != nil {
		return "", err
	}
	c, err := s.newCopier(opts)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.copy(ctx, src, dst)
}

// place parses a name with its transport, and opens the store where that is meant.
func (s *Store) place(ctx context.Context, what, name string) (imgtypes.ImageReference, error) {
	transport := alltransports.TransportFromImageName(name)
	if transport == nil {
		return nil, fmt.Errorf("%s %q: it has to begin with a transport, as docker:// or oci-archive: do", what, name)
	}
	if transport.Name() == istorage.Transport.Name() {
		if _, err := s.openBulk(ctx); err != nil {
			return nil, err
		}
	}
	ref, err := alltransports.ParseImageName(name)
	if err != nil {
		return nil, fmt.Errorf("%s %q: %w", what, name, err)
	}
	return ref, nil
}

// copier copies images that have the same options.
type copier struct {
	store   *Store
	retry   Retry
	sign    Signing
	policy  *signature.PolicyContext
	options copy.Options
}

// newCopier makes one of options. The caller closes it.
func (s *Store) newCopier(opts CopyOptions) (*copier, error) {
	if err := opts.Sign.check(); err != nil {
		return nil, err
	}
	src, err := s.context(opts.Source)
	if err != nil {
		return nil, err
	}
	dst, err := s.context(opts.Dest)
	if err != nil {
		return nil, err
	}
	src.OSChoice, src.ArchitectureChoice, src.VariantChoice = opts.Platform.OS, opts.Platform.Arch, opts.Platform.Variant
	if err := opts.applyTo(dst); err != nil {
		return nil, err
	}
	c := &copier{store: s, retry: opts.Retry, sign: opts.Sign}
	c.options = copy.Options{
		SourceCtx: src, DestinationCtx: dst,
		RemoveSignatures: opts.RemoveSignatures, PreserveDigests: opts.PreserveDigests,
		ForceCompressionFormat: opts.Compression.Force,
		ReportWriter:           progressWriter(opts.Progress),
	}
	switch {
	case opts.All && opts.IndexOnly:
		return nil, errors.New("all images of a list and only the list cannot both be copied")
	case opts.All:
		c.options.ImageListSelection = copy.CopyAllImages
	case opts.IndexOnly:
		c.options.ImageListSelection = copy.CopySpecificImages // of which none are named
	}
	if c.options.ForceManifestMIMEType, err = manifestType(opts.Format); err != nil {
		return nil, err
	}
	if c.options.OciEncryptConfig, c.options.OciEncryptLayers, err = opts.Encrypt.config(); err != nil {
		return nil, err
	}
	if len(opts.DecryptionKeys) > 0 {
		if c.options.OciDecryptConfig, err = decryption(opts.DecryptionKeys); err != nil {
			return nil, err
		}
	}
	conf, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("read containers.conf: %w", err)
	}
	c.options.MaxParallelDownloads = conf.Engine.ImageParallelCopies
	if c.options.SignIdentity, err = opts.Sign.identity(); err != nil {
		return nil, err
	}
	policy, err := signature.DefaultPolicy(src)
	if err != nil {
		return nil, explain(err)
	}
	if c.policy, err = signature.NewPolicyContext(policy); err != nil {
		return nil, err
	}
	if c.options.Signers, err = opts.Sign.signers(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// applyTo puts what the destination is told into its configuration.
func (o CopyOptions) applyTo(dst *imgtypes.SystemContext) error {
	if o.DirCompress && o.DirDecompress {
		return errors.New("layers cannot be compressed and decompressed at once")
	}
	dst.DirForceCompress, dst.DirForceDecompress = o.DirCompress, o.DirDecompress
	dst.OCIAcceptUncompressedLayers = o.AcceptUncompressed
	dst.DockerRegistryPushPrecomputeDigests = o.PrecomputeDigests
	for _, tag := range o.AdditionalTags {
		named, err := reference.ParseNormalizedNamed(tag)
		if err != nil {
			return fmt.Errorf("additional tag %q: %w", tag, err)
		}
		tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
		if !ok {
			return fmt.Errorf("additional tag %q: it has no tag", tag)
		}
		dst.DockerArchiveAdditionalTags = append(dst.DockerArchiveAdditionalTags, tagged)
	}
	return o.Compression.apply(dst)
}

func (c *copier) close() {
	closeSigners(c.options.Signers)
	if err := c.policy.Destroy(); err != nil {
		c.store.log.Debug("forget the signature policy", "error", err)
	}
}

// copy copies one image, or one list, and signs it. It returns the digest of the
// manifest that was written.
func (c *copier) copy(ctx context.Context, src, dst imgtypes.ImageReference) (string, error) {
	if c.sign.GPGKey != "" {
		if _, err := c.sign.gpgIdentity(dst); err != nil {
			return "", err
		}
	}
	var written []byte
	err := c.store.attempts(ctx, c.retry, func(ctx context.Context, progress chan imgtypes.ProgressProperties) (err error) {
		opts := c.options
		opts.Progress, opts.ProgressInterval = progress, progressInterval
		written, err = copy.Image(ctx, c.policy, dst, src, &opts)
		return err
	})
	if err == nil {
		err = c.sign.signByGPG(ctx, c.options.DestinationCtx, dst, written)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", explain(fmt.Errorf("copy %s to %s: %w", transports.ImageName(src), transports.ImageName(dst), plainCopyError(err)))
	}
	d, err := manifest.Digest(written)
	return d.String(), err
}
