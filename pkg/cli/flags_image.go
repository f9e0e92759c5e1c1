package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// platformFlags choose among the images of one name.
type platformFlags struct {
	platform          string
	os, arch, variant string
}

func (f *platformFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.platform, "platform", "", "Choose the image for this platform: `OS/ARCH[/VARIANT]`")
	flags.StringVar(&f.os, "os", "", "Choose the image for this operating system, `OS`")
	flags.StringVar(&f.arch, "arch", "", "Choose the image for this architecture, `ARCH`")
	flags.StringVar(&f.variant, "variant", "", "Choose the image for this `variant` of the architecture")
}

// get returns the platform asked for.
func (f *platformFlags) get() (engine.Platform, error) {
	p := engine.Platform{OS: f.os, Arch: f.arch, Variant: f.variant}
	if f.platform == "" {
		return p, nil
	}
	if p != (engine.Platform{}) {
		return p, errors.New("--platform cannot be combined with --os, --arch or --variant")
	}
	parts := strings.Split(f.platform, "/")
	bad := len(parts) < 2 || len(parts) > 3
	for _, part := range parts {
		bad = bad || part == ""
	}
	if bad {
		return p, fmt.Errorf("--platform %q: the form is OS/ARCH[/VARIANT], as linux/amd64", f.platform)
	}
	p.OS, p.Arch = parts[0], parts[1]
	if len(parts) > 2 {
		p.Variant = parts[2]
	}
	return p, nil
}

// registryFlags say how to speak with a registry.
type registryFlags struct {
	authFile  string
	tlsVerify bool
	changed   func(flag string) bool
}

func (f *registryFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.StringVar(&f.authFile, "authfile", "", "Read registry credentials from this `file`")
	flags.BoolVar(&f.tlsVerify, "tls-verify", true, "Require HTTPS and verify certificates of registries")
}

func (f *registryFlags) apply(opts *engine.PullOptions) error {
	if f.authFile != "" {
		if _, err := os.Stat(f.authFile); err != nil {
			return fmt.Errorf("--authfile: %w", err)
		}
	}
	opts.AuthFile = f.authFile
	if f.changed("tls-verify") {
		opts.TLSVerify = &f.tlsVerify
	}
	return nil
}

// Pull policies; the empty one is that of containers.conf, "missing" by default.
var pullPolicies = []string{"always", "missing", "newer", "never"}

// imageFlags are the options of run and create about the image.
type imageFlags struct {
	platformFlags
	registryFlags
	pull  string
	quiet bool
}

func (f *imageFlags) addFlags(flags *pflag.FlagSet) {
	f.platformFlags.addFlags(flags)
	f.registryFlags.addFlags(flags)
	flags.Var(newChoice(&f.pull, pullPolicies...), "pull", "Fetch the image by this `policy`: always, missing (default), newer or never")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress while the image is fetched and converted")
}

func (f *imageFlags) apply(opts *engine.PullOptions) error {
	var err error
	if opts.Platform, err = f.platformFlags.get(); err != nil {
		return err
	}
	opts.Policy = f.pull
	return f.registryFlags.apply(opts)
}
