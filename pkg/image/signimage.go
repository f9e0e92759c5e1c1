package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/transports/alltransports"
	"github.com/opencontainers/go-digest"
)

// SignImageOptions say how images on registries are signed.
type SignImageOptions struct {
	Access
	Signing
	Directory string // where signatures go; "" is where registries.d(5) says
	All       bool   // all images of a list, with the list; else the one for this machine
}

// SignImage signs an image that is on a registry with a key of gpg's.
func (s *Store) SignImage(ctx context.Context, name string, opts SignImageOptions) error {
	if opts.GPGKey == "" {
		return errors.New("no key named to sign with: give --sign-by")
	}
	if err := opts.Signing.check(); err != nil {
		return err
	}
	ref, err := alltransports.ParseImageName(name)
	if err != nil || ref.Transport().Name() != docker.Transport.Name() {
		if ref, err = alltransports.ParseImageName("docker://" + name); err != nil {
			return fmt.Errorf("image %q: %w", name, err)
		}
	}
	named, err := opts.gpgIdentity(ref)
	if err != nil {
		return err
	}
	sys, err := s.context(Place{Access: opts.Access})
	if err != nil {
		return err
	}
	top, err := readManifest(ctx, sys, ref)
	if err != nil {
		return explain(fmt.Errorf("sign %s: %w", name, err))
	}
	if kind := manifest.GuessMIMEType(top); manifest.MIMETypeIsMultiImage(kind) && !opts.All {
		src, err := ref.NewImageSource(ctx, sys)
		if err != nil {
			return err
		}
		defer src.Close()
		list, err := manifest.ListFromBlob(top, kind)
		if err != nil {
			return fmt.Errorf("sign %s: %w", name, err)
		}
		d, err := list.ChooseInstance(sys)
		if err != nil {
			return fmt.Errorf("sign %s: %w", name, err)
		}
		if top, _, err = image.UnparsedInstance(src, &d).Manifest(ctx); err != nil {
			return fmt.Errorf("sign %s: %w", name, err)
		}
	}
	if opts.Directory == "" {
		return explain(opts.signByGPG(ctx, sys, ref, top))
	}
	return explain(opts.eachManifest(ctx, sys, ref, top, func(d digest.Digest, m []byte) error {
		made, err := signature.SignDockerManifest(m, named.String(), gpg{ctx: ctx, passphraseFile: opts.PassphraseFile}, opts.GPGKey)
		if err != nil {
			return err
		}
		return addSignatureFile(opts.Directory, named, d, made)
	}))
}

// addSignatureFile writes a signature below a directory, as containers/image's
// docs/signature-protocols.md has it, behind those that are there.
func addSignatureFile(dir string, named reference.Named, d digest.Digest, text []byte) error {
	dir = filepath.Join(dir, fmt.Sprintf("%s@%s=%s", reference.Path(named), d.Algorithm(), d.Encoded()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := 1; ; i++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("signature-%d", i)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		return errors.Join(err, f.Close())
	}
}
