package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
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

// registryFlags say how to speak with registries.
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

// get returns what the flags ask for.
func (f *registryFlags) get() (engine.RegistryAccess, error) {
	access := engine.RegistryAccess{AuthFile: f.authFile}
	if f.authFile != "" {
		if _, err := os.Stat(f.authFile); err != nil {
			return access, fmt.Errorf("--authfile: %w", err)
		}
	}
	if f.changed("tls-verify") {
		access.TLSVerify = &f.tlsVerify
	}
	return access, nil
}

// accessFlags say how to speak with one registry.
type accessFlags struct {
	registryFlags
	certDir string
	creds   string
}

func (f *accessFlags) addFlags(flags *pflag.FlagSet) {
	f.registryFlags.addFlags(flags)
	flags.StringVar(&f.certDir, "cert-dir", "", "Take certificates and keys for the registry from this `directory`")
	flags.StringVar(&f.creds, "creds", "", "Log in to the registry as `USER[:PASSWORD]`")
}

// get returns what the flags ask for.
func (f *accessFlags) get() (engine.RegistryAccess, error) {
	access, err := f.registryFlags.get()
	if err != nil {
		return access, err
	}
	if f.certDir != "" {
		if info, err := os.Stat(f.certDir); err != nil {
			return access, fmt.Errorf("--cert-dir: %w", err)
		} else if !info.IsDir() {
			return access, fmt.Errorf("--cert-dir %s: not a directory", f.certDir)
		}
	}
	access.Creds, access.CertDir = f.creds, f.certDir
	return access, nil
}

// retryFlags say how often a copy is tried again.
type retryFlags struct {
	count   uint
	delay   time.Duration
	changed func(flag string) bool
}

func (f *retryFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.UintVar(&f.count, "retry", 3, "Try this `number` of times again when the registry or the network fails")
	flags.DurationVar(&f.delay, "retry-delay", 0, "Wait this `time` before each new try, in place of 1s, 2s, 4s, ...")
}

func (f *retryFlags) get() engine.Retry {
	r := engine.Retry{Delay: f.delay}
	if f.changed("retry") {
		r.Count = &f.count
	}
	return r
}

// fetchFlags are what pull, run and create have in common.
type fetchFlags struct {
	platformFlags
	accessFlags
	retryFlags
	decryptionKeys []string
}

func (f *fetchFlags) addFlags(flags *pflag.FlagSet) {
	f.platformFlags.addFlags(flags)
	f.accessFlags.addFlags(flags)
	f.retryFlags.addFlags(flags)
	flags.StringSliceVar(&f.decryptionKeys, "decryption-key", nil, "Decrypt encrypted layers with this key, `FILE[:PASSWORD]`")
}

func (f *fetchFlags) apply(opts *engine.PullOptions) error {
	var err error
	if opts.Platform, err = f.platformFlags.get(); err != nil {
		return err
	}
	opts.Retry, opts.DecryptionKeys = f.retryFlags.get(), f.decryptionKeys
	access, err := f.accessFlags.get()
	opts.AuthFile, opts.Creds, opts.CertDir, opts.TLSVerify = access.AuthFile, access.Creds, access.CertDir, access.TLSVerify
	return err
}

// completeFlags completes the values that can be known.
func (f *fetchFlags) completeFlags(cmd *cobra.Command) {
	f.platformFlags.completeFlags(cmd)
	completeFlag(cmd, "creds", noWords)
	completeFlag(cmd, "retry", noWords)
	completeFlag(cmd, "retry-delay", noWords)
}

// Pull policies; the empty one is that of containers.conf, "missing" by default.
var pullPolicies = []string{"always", "missing", "newer", "never"}

// imageFlags are the options of run and create about the image.
type imageFlags struct {
	fetchFlags
	pull  string
	quiet bool
}

func (f *imageFlags) addFlags(flags *pflag.FlagSet) {
	f.fetchFlags.addFlags(flags)
	flags.Var(newChoice(&f.pull, pullPolicies...), "pull", "Fetch the image by this `policy`: always, missing (default), newer or never")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress while the image is fetched and converted")
}

func (f *imageFlags) apply(opts *engine.PullOptions) error {
	opts.Policy = f.pull
	return f.fetchFlags.apply(opts)
}
