package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/image"
	"github.com/containers/image/v5/manifest"
	"github.com/containers/image/v5/pkg/cli/sigstore/params"
	"github.com/containers/image/v5/signature"
	"github.com/containers/image/v5/signature/signer"
	"github.com/containers/image/v5/signature/sigstore"
	"github.com/containers/image/v5/transports"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
)

// Signing says what signatures a copy gets, besides those it brings. The zero
// value adds none.
type Signing struct {
	GPGKey       string // id or fingerprint of a key gpg(1) has the private half of
	SigstoreKey  string // file with a private key, as `cosign generate-key-pair` and `skopeo generate-sigstore-key` write it
	SigstoreFile string // parameters, containers-sigstore-signing-params.yaml(5)
	Identity     string // the name that is signed; "" is the destination's

	// PassphraseFile holds the key's on its first line. Without one, Passphrase is
	// asked for a sigstore key's, and gpg asks by its agent.
	PassphraseFile string
	Passphrase     func(keyFile string) ([]byte, error)
}

// check refuses what cannot be meant.
func (o Signing) check() error {
	switch {
	case o.GPGKey != "" && (o.SigstoreKey != "" || o.SigstoreFile != ""):
		return errors.New("--sign-by and the sigstore options cannot be used together: one passphrase file would be for two keys")
	case o.SigstoreKey != "" && o.SigstoreFile != "":
		return errors.New("--sign-by-sigstore and --sign-by-sigstore-private-key cannot be used together")
	case o.PassphraseFile != "" && o.GPGKey == "" && o.SigstoreKey == "":
		return errors.New("--sign-passphrase-file needs --sign-by or --sign-by-sigstore-private-key")
	}
	if o.GPGKey == "" {
		return nil
	}
	if _, err := exec.LookPath("gpg"); err != nil {
		return fmt.Errorf("--sign-by: %w", err)
	}
	if out, err := exec.Command("gpg", "--batch", "--no-tty", "--list-secret-keys", "--", o.GPGKey).CombinedOutput(); err != nil {
		return fmt.Errorf("--sign-by %s: %s", o.GPGKey, lastLine(out))
	}
	return nil
}

// identity is the name to be signed, nil where the destination's is.
func (o Signing) identity() (reference.Named, error) {
	if o.Identity == "" {
		return nil, nil
	}
	named, err := reference.ParseNamed(o.Identity)
	if err != nil {
		return nil, fmt.Errorf("--sign-identity %q: %w", o.Identity, err)
	}
	return named, nil
}

// signers are the library's, for sigstore. The caller closes them.
func (o Signing) signers() ([]*signer.Signer, error) {
	key, file := o.SigstoreKey, o.PassphraseFile
	if o.SigstoreFile != "" {
		p, err := params.ParseFile(o.SigstoreFile)
		if err != nil {
			return nil, fmt.Errorf("--sign-by-sigstore: %w", err)
		}
		if p.Fulcio != nil || p.RekorURL != "" {
			return nil, fmt.Errorf("--sign-by-sigstore %s: vpod signs with key files, and reaches no Fulcio and no Rekor server", o.SigstoreFile)
		}
		key, file = p.PrivateKeyFile, p.PrivateKeyPassphraseFile
		if key == "" {
			return nil, fmt.Errorf("--sign-by-sigstore %s: it names no privateKeyFile", o.SigstoreFile)
		}
	}
	if key == "" {
		return nil, nil
	}
	passphrase, err := readPassphrase(file)
	if err == nil && file == "" && o.Passphrase != nil {
		passphrase, err = o.Passphrase(key)
	}
	if err != nil {
		return nil, fmt.Errorf("passphrase of %s: %w", key, err)
	}
	s, err := sigstore.NewSigner(sigstore.WithPrivateKeyFile(key, passphrase))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", key, err)
	}
	return []*signer.Signer{s}, nil
}

func closeSigners(signers []*signer.Signer) {
	for _, s := range signers {
		s.Close()
	}
}

// readPassphrase is the first line of a file, as gpg(1) takes it.
func readPassphrase(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line, nil
}

// signByGPG adds signatures of the key to what has been copied to dest: to the
// manifest and, where that is a list, to those it names. The library this program
// is built with verifies such signatures and cannot make them; gpg does. They are
// kept where registries.d(5) says, or by the registry itself.
func (o Signing) signByGPG(ctx context.Context, sys *imgtypes.SystemContext, dest imgtypes.ImageReference, top []byte) (err error) {
	if o.GPGKey == "" {
		return nil
	}
	named, err := o.gpgIdentity(dest)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("sign %s: %w", transports.ImageName(dest), err)
		}
	}()
	src, err := dest.NewImageSource(ctx, sys)
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := dest.NewImageDestination(ctx, sys)
	if err != nil {
		return err
	}
	defer out.Close()
	return o.eachManifest(ctx, sys, dest, top, func(d digest.Digest, m []byte) error {
		return o.addSignature(ctx, src, out, d, m, named)
	})
}

// eachManifest calls do for a manifest of ref's and, where that is a list, for
// those it names.
func (o Signing) eachManifest(ctx context.Context, sys *imgtypes.SystemContext, ref imgtypes.ImageReference, top []byte, do func(digest.Digest, []byte) error) error {
	manifests := [][]byte{top}
	if kind := manifest.GuessMIMEType(top); manifest.MIMETypeIsMultiImage(kind) {
		list, err := manifest.ListFromBlob(top, kind)
		if err != nil {
			return err
		}
		src, err := ref.NewImageSource(ctx, sys)
		if err != nil {
			return err
		}
		defer src.Close()
		for _, d := range list.Instances() {
			one, _, err := image.UnparsedInstance(src, &d).Manifest(ctx) // which checks its digest
			if err != nil {
				return err
			}
			manifests = append(manifests, one)
		}
	}
	for _, m := range manifests {
		d, err := manifest.Digest(m)
		if err != nil {
			return err
		}
		if err := do(d, m); err != nil {
			return err
		}
	}
	return nil
}

// addSignature adds one to those an instance has.
func (o Signing) addSignature(ctx context.Context, src imgtypes.ImageSource, out imgtypes.ImageDestination, d digest.Digest, m []byte, named reference.Named) error {
	there, err := src.GetSignatures(ctx, &d)
	if err != nil {
		return err
	}
	made, err := signature.SignDockerManifest(m, named.String(), gpg{ctx: ctx, passphraseFile: o.PassphraseFile}, o.GPGKey)
	if err != nil {
		return err
	}
	return out.PutSignatures(ctx, append(slices.Clone(there), made), &d)
}

// gpgIdentity is the name that is signed at dest.
func (o Signing) gpgIdentity(dest imgtypes.ImageReference) (reference.Named, error) {
	if dest.Transport().Name() != docker.Transport.Name() {
		return nil, fmt.Errorf("--sign-by: only an image on a registry has a place for the signature, %s has none", transports.ImageName(dest))
	}
	named, err := o.identity()
	if err != nil {
		return nil, err
	}
	if named == nil {
		named = dest.DockerReference()
	}
	if reference.IsNameOnly(named) {
		return nil, fmt.Errorf("--sign-by: %s has neither tag nor digest to be signed", named)
	}
	return named, nil
}

// gpg is a signature.SigningMechanism that runs gpg(1) to sign, and does nothing
// else.
type gpg struct {
	signature.SigningMechanism
	ctx            context.Context // of one call of addSignature
	passphraseFile string
}

func (g gpg) SupportsSigning() error { return nil }

func (g gpg) Sign(input []byte, key string) ([]byte, error) {
	args := []string{"--batch", "--no-tty", "--quiet"}
	if g.passphraseFile != "" {
		args = append(args, "--pinentry-mode", "loopback", "--passphrase-file", g.passphraseFile)
	}
	cmd := exec.CommandContext(g.ctx, "gpg", append(args, "--local-user", key, "--output", "-", "--sign")...)
	var errText bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &errText
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("gpg: %w: %s", err, lastLine(errText.Bytes()))
	}
	return out, nil
}

// lastLine is the end of what a program said.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
