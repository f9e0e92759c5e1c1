package image

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/containers/common/libimage"
	"github.com/containers/common/pkg/config"
	istorage "github.com/containers/image/v5/storage"
	"github.com/containers/image/v5/transports/alltransports"
	imgtypes "github.com/containers/image/v5/types"
)

// Policy says when a registry is asked for an image.
type Policy string

// The policies of --pull.
const (
	PullMissing Policy = "missing" // when the store has none (default)
	PullAlways  Policy = "always"  // in any case
	PullNewer   Policy = "newer"   // when the registry's differs; its failure is no error if there is a local one
	PullNever   Policy = "never"
)

// ParsePolicy reads the value of --pull; "" is PullMissing. It takes what Podman
// takes: "true" is always and "false" missing, as in its older versions.
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "true":
		return PullAlways, nil
	case "false":
		return PullMissing, nil
	}
	p, err := config.ParsePullPolicy(s)
	if err != nil {
		return "", fmt.Errorf("unknown pull policy %q: use always, missing, newer or never", s)
	}
	return Policy(p.String()), nil
}

// Platform is what --platform, --os, --arch and --variant ask for. Empty parts
// are the machine's own.
type Platform struct{ OS, Arch, Variant string }

// PullOptions say how to pull. The zero value pulls what is missing, silently.
type PullOptions struct {
	Policy    Policy
	Platform  Platform
	TLSVerify *bool  // nil leaves it to registries.conf
	AuthFile  string // auth.json; "" is the store's
	Creds     string // "user[:password]"
	CertDir   string // certificates and keys for the registry
	AllTags   bool   // every tag of a repository on a registry

	Retry          Retry
	DecryptionKeys []string // for encrypted layers, "FILE[:PASSWORD]"

	// Progress gets the text Podman prints: bars when it is a terminal (an
	// *os.File), plain lines otherwise. nil is quiet.
	Progress io.Writer
}

// Pull makes sure of an image and returns it; with AllTags, several. ref is a
// short or full name, or one with a transport: docker://, oci:, oci-archive:,
// docker-archive:, dir:, containers-storage:. Archives may hold several images.
// An image for another platform is pulled all the same; see Image.Foreign.
//
// Errors are marked with ErrNotFound (policy never), ErrNoPolicy, ErrRejected,
// ErrLogin or ErrRegistry where they are that.
func (s *Store) Pull(ctx context.Context, ref string, opts PullOptions) ([]*Image, error) {
	policy, err := config.ParsePullPolicy(string(opts.Policy))
	if err != nil {
		return nil, err
	}
	copyOpts, err := opts.copyOptions()
	if err != nil {
		return nil, err
	}
	if name, ok := strings.CutPrefix(ref, istorage.Transport.Name()+":"); ok && !strings.HasPrefix(name, "[") {
		image, err := s.Lookup(ctx, strings.TrimPrefix(name, "@")) // it is this store's own
		if err != nil {
			return nil, err
		}
		return []*Image{image}, nil
	}
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	bulk, err := s.bulk(rt)
	if err != nil {
		return nil, err
	}
	if opts.AllTags {
		// The list of tags is asked for by the runtime's own configuration.
		if bulk, err = libimage.RuntimeFromStore(s.store, &libimage.RuntimeOptions{SystemContext: opts.systemContext(bulk)}); err != nil {
			return nil, err
		}
	}
	var pulled []*libimage.Image
	err = s.attempts(ctx, opts.Retry, func(ctx context.Context, progress chan imgtypes.ProgressProperties) (err error) {
		one := *copyOpts
		one.Progress = progress
		pulled, err = bulk.Pull(ctx, ref, policy, &libimage.PullOptions{CopyOptions: one, AllTags: opts.AllTags})
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("pull %s: %w", ref, context.Cause(ctx))
		}
		if libimage.ErrorIsImageUnknown(err) {
			return nil, explain(err) // names the image already
		}
		return nil, explain(fmt.Errorf("pull %s: %w", ref, plainCopyError(err)))
	}
	var images []*Image
	seen := make(map[string]bool)
	for _, p := range pulled {
		if seen[p.ID()] {
			continue // one image under several names
		}
		seen[p.ID()] = true
		image, err := s.read(ctx, rt, p)
		if err != nil {
			return nil, explain(fmt.Errorf("read pulled image %s: %w", ref, err))
		}
		image.Name = image.ID
		if name := pulledName(rt, ref, p); name != "" {
			image.Name = name
		}
		images = append(images, image)
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("pull %s: it holds no image", ref)
	}
	return images, nil
}

// pulledName is the reference a pulled image is known by: what the user's own
// name resolves to, else any.
func pulledName(rt *libimage.Runtime, ref string, p *libimage.Image) string {
	if named, err := alltransports.ParseImageName(ref); err == nil && named.DockerReference() != nil {
		ref = named.DockerReference().String()
	}
	if found, resolved, err := rt.LookupImage(ref, nil); err == nil && found.ID() == p.ID() && !isID(resolved) {
		return resolved
	}
	if names := p.Names(); len(names) > 0 {
		return names[0]
	}
	return ""
}

// systemContext is a runtime's configuration with the options in it.
func (o PullOptions) systemContext(rt *libimage.Runtime) *imgtypes.SystemContext {
	sys := rt.SystemContext()
	o.access().apply(sys)
	return sys
}

func (o PullOptions) access() Access {
	return Access{AuthFile: o.AuthFile, Creds: o.Creds, CertDir: o.CertDir, TLSVerify: o.TLSVerify}
}

// copyOptions are the options as libimage takes them.
func (o PullOptions) copyOptions() (*libimage.CopyOptions, error) {
	if err := o.access().check(); err != nil {
		return nil, err
	}
	decrypt, err := decryption(o.DecryptionKeys)
	if err != nil {
		return nil, err
	}
	never := uint(0) // attempts does
	c := &libimage.CopyOptions{
		Architecture: o.Platform.Arch,
		OS:           o.Platform.OS,
		Variant:      o.Platform.Variant,
		AuthFilePath: o.AuthFile,
		CertDirPath:  o.CertDir,
		Credentials:  o.Creds,
		MaxRetries:   &never,
		Writer:       progressWriter(o.Progress),

		OciDecryptConfig: decrypt,
	}
	if o.TLSVerify != nil {
		c.InsecureSkipTLSVerify = imgtypes.NewOptionalBool(!*o.TLSVerify)
	}
	return c, nil
}
