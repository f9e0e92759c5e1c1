package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containers/common/libimage"
	"github.com/containers/common/pkg/config"
	"github.com/containers/image/v5/copy"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/pkg/compression"
	compressiontypes "github.com/containers/image/v5/pkg/compression/types"
	"github.com/containers/image/v5/transports/alltransports"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Compression says how a copy's layers are compressed. The zero value is
// containers.conf's; layers that are compressed already stay as they are.
type Compression struct {
	Format string // "gzip", "zstd" or "zstd:chunked"
	Level  *int   // nil is the format's own
	Force  bool   // compress layers again that the destination has in another format
}

// apply puts it into a configuration of the libraries.
func (c Compression) apply(sys *imgtypes.SystemContext) error {
	if c.Format == "" && (c.Level != nil || c.Force) {
		return errors.New("--compression-level and --force-compression need --compression-format")
	}
	if c.Format == "" {
		conf, err := config.Default()
		if err != nil {
			return fmt.Errorf("read containers.conf: %w", err)
		}
		if c.Format = conf.Engine.CompressionFormat; c.Format == "" || c.Format == compressiontypes.GzipAlgorithmName {
			return nil // which layers that are not compressed get anyway
		}
		c.Level = conf.Engine.CompressionLevel
	}
	algorithm, err := compression.AlgorithmByName(c.Format)
	if err != nil {
		return fmt.Errorf("--compression-format %q: use gzip, zstd or zstd:chunked", c.Format)
	}
	sys.CompressionFormat, sys.CompressionLevel = &algorithm, c.Level
	return nil
}

// manifestType is the media type that a value of --format stands for; "" is that
// of the source.
func manifestType(format string) (string, error) {
	switch format {
	case "":
		return "", nil
	case "oci":
		return ociv1.MediaTypeImageManifest, nil
	case "v2s2", "docker":
		return manifest.DockerV2Schema2MediaType, nil
	case "v2s1":
		return manifest.DockerV2Schema1SignedMediaType, nil
	}
	return "", fmt.Errorf("--format %q: use oci, v2s2 or v2s1", format)
}

// PushOptions say how to push. The zero value pushes an image as it is, silently.
type PushOptions struct {
	Access
	Retry       Retry
	Compression Compression
	Sign        Signing
	Encrypt     Encryption

	Format           string // of the manifest: "oci", "v2s2" or "v2s1"; "" is the image's own
	DirCompress      bool   // compress layers in a "dir:" destination
	RemoveSignatures bool   // leave behind those the image has
	All              bool   // all images of a list, with the list
	List             bool   // it must be a list; without All, the list alone is pushed

	Progress io.Writer // as in PullOptions
}

// Push copies an image of the store to destination, a registry's when it names no
// transport; "" is where its name says. It returns the digest of the manifest
// that was written.
func (s *Store) Push(ctx context.Context, name, destination string, opts PushOptions) (string, error) {
	if err := errors.Join(opts.Access.check(), opts.Sign.check()); err != nil {
		return "", err
	}
	rt, err := s.openBulk(ctx)
	if err != nil {
		return "", err
	}
	list, destination, err := s.pushed(rt, name, destination, opts)
	if err != nil {
		return "", explain(err)
	}
	dest, err := destinationOf(destination)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", name, err)
	}
	if opts.Sign.GPGKey != "" {
		if _, err := opts.Sign.gpgIdentity(dest); err != nil {
			return "", err
		}
	}
	if err := opts.fits(dest); err != nil {
		return "", err
	}
	copyOpts, err := opts.copyOptions(rt.SystemContext())
	if err != nil {
		return "", err
	}
	defer closeSigners(copyOpts.Signers)
	var written []byte
	var d digest.Digest
	err = s.attempts(ctx, opts.Retry, func(ctx context.Context, progress chan imgtypes.ProgressProperties) (err error) {
		one := *copyOpts
		if list != nil {
			one.ImageListSelection = copy.CopyAllImages
			if opts.List && !opts.All {
				one.ImageListSelection = copy.CopySpecificImages // of which none is named
			}
			d, err = list.Push(ctx, destination, &libimage.ManifestListPushOptions{CopyOptions: one, ImageListSelection: one.ImageListSelection})
			return err
		}
		one.Progress = progress
		written, err = rt.Push(ctx, name, destination, &libimage.PushOptions{CopyOptions: one})
		return err
	})
	sys := rt.SystemContext()
	opts.Access.apply(sys)
	if err == nil && list == nil {
		d, err = manifest.Digest(written)
	}
	if err == nil && opts.Sign.GPGKey != "" {
		if list != nil {
			written, err = readManifest(ctx, sys, dest)
		}
		if err == nil {
			err = opts.Sign.signByGPG(ctx, sys, dest, written)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", explain(fmt.Errorf("push %s to %s: %w", name, destination, plainCopyError(err)))
	}
	return d.String(), nil
}

// fits refuses a compression that the destination has no word for: the library
// would leave it out without one.
func (o PushOptions) fits(dest imgtypes.ImageReference) error {
	docker := o.Format == "v2s2" || o.Format == "docker" || o.Format == "v2s1"
	transport := dest.Transport().Name()
	if o.Compression.Format == "" || o.Compression.Format == compressiontypes.GzipAlgorithmName {
		return nil
	}
	if docker || transport == "docker-archive" || transport == "docker-daemon" {
		return fmt.Errorf("--compression-format %s: Docker's formats know gzip alone; use --format oci, and another transport than docker-archive", o.Compression.Format)
	}
	return nil
}

// pushed finds what is pushed and where to. A list is returned when all of its
// images are wanted, or none is for this machine, or it itself is meant.
func (s *Store) pushed(rt *libimage.Runtime, name, destination string, opts PushOptions) (*libimage.ManifestList, string, error) {
	var list *libimage.ManifestList
	var err error
	resolved := name
	if opts.All || opts.List {
		list, err = rt.LookupManifestList(name)
		if errors.Is(err, libimage.ErrNotAManifestList) && !opts.List {
			list, err = nil, nil // all of one image is the image
		}
	}
	if list == nil && err == nil {
		_, resolved, err = find(rt, name, nil)
		if libimage.ErrorIsImageUnknown(err) {
			if list, _ = rt.LookupManifestList(name); list != nil {
				err = nil
			}
		}
	}
	if err != nil || destination != "" {
		return list, destination, err
	}
	if list != nil {
		if img, err := s.store.Image(list.ID()); err == nil && len(img.Names) > 0 {
			resolved = img.Names[0]
		}
	}
	if isID(resolved) || resolved == "" {
		return nil, "", fmt.Errorf("image %s is named by its id: name the destination, too", name)
	}
	return list, resolved, nil
}

// destinationOf parses the name of a destination, a registry's when it has no
// transport.
func destinationOf(name string) (imgtypes.ImageReference, error) {
	ref, err := alltransports.ParseImageName(name)
	if err == nil {
		return ref, nil
	}
	if alltransports.TransportFromImageName(name) != nil {
		return nil, fmt.Errorf("destination %q: %w", name, err)
	}
	if ref, err = alltransports.ParseImageName("docker://" + strings.TrimPrefix(name, "//")); err != nil {
		return nil, fmt.Errorf("destination %q: %w", name, err)
	}
	return ref, nil
}

// readManifest reads the manifest a reference names.
func readManifest(ctx context.Context, sys *imgtypes.SystemContext, ref imgtypes.ImageReference) ([]byte, error) {
	src, err := ref.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	m, _, err := src.GetManifest(ctx, nil)
	return m, err
}

// copyOptions are the options as libimage takes them; the signers in them are to
// be closed.
func (o PushOptions) copyOptions(sys *imgtypes.SystemContext) (*libimage.CopyOptions, error) {
	kind, err := manifestType(o.Format)
	if err != nil {
		return nil, err
	}
	if err := o.Compression.apply(sys); err != nil {
		return nil, err
	}
	encrypt, layers, err := o.Encrypt.config()
	if err != nil {
		return nil, err
	}
	never := uint(0) // attempts does
	c := &libimage.CopyOptions{
		AuthFilePath:           o.AuthFile,
		CertDirPath:            o.CertDir,
		Credentials:            o.Creds,
		CompressionFormat:      sys.CompressionFormat,
		CompressionLevel:       sys.CompressionLevel,
		ForceCompressionFormat: o.Compression.Force,
		DirForceCompress:       o.DirCompress,
		ManifestMIMEType:       kind,
		MaxRetries:             &never,
		OciEncryptConfig:       encrypt,
		OciEncryptLayers:       layers,
		RemoveSignatures:       o.RemoveSignatures,
		Writer:                 progressWriter(o.Progress),
	}
	if o.TLSVerify != nil {
		c.InsecureSkipTLSVerify = imgtypes.NewOptionalBool(!*o.TLSVerify)
	}
	c.Signers, err = o.Sign.signers()
	return c, err
}
