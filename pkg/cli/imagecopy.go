package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// imageCopier is what image copy needs of the engine.
type imageCopier interface {
	CopyImage(ctx context.Context, source, dest string, opts engine.CopyOptions) (string, error)
}

// placeFlags are the options for one end of a copy, as skopeo names them.
type placeFlags struct {
	prefix    string // "src-" or "dest-"
	authFile  string
	certDir   string
	creds     string
	host      string
	noCreds   bool
	password  string
	shared    string
	tlsVerify bool
	token     string
	username  string
	changed   func(flag string) bool
}

func (f *placeFlags) addFlags(flags *pflag.FlagSet, prefix, side string) {
	f.prefix, f.changed = prefix, flags.Changed
	flags.StringVar(&f.authFile, prefix+"authfile", "", "Read credentials for the "+side+" from this `file`")
	flags.StringVar(&f.certDir, prefix+"cert-dir", "", "Take certificates and keys for the "+side+" from this `directory`")
	flags.StringVar(&f.creds, prefix+"creds", "", "Log in to the "+side+" as `USER[:PASSWORD]`")
	flags.BoolVar(&f.noCreds, prefix+"no-creds", false, "Use no credentials for the "+side)
	flags.StringVar(&f.password, prefix+"password", "", "Log in to the "+side+" with this `password`")
	flags.StringVar(&f.token, prefix+"registry-token", "", "Show the "+side+" this bearer `token`")
	flags.BoolVar(&f.tlsVerify, prefix+"tls-verify", true, "Require HTTPS and verify certificates of the "+side)
	flags.StringVar(&f.username, prefix+"username", "", "Log in to the "+side+" as this `user`")
}

// addLocalFlags adds those of places that are no registries.
func (f *placeFlags) addLocalFlags(flags *pflag.FlagSet, prefix, side string) {
	flags.StringVar(&f.host, prefix+"daemon-host", "", "Find the Docker daemon of the "+side+" at this `address`")
	flags.StringVar(&f.shared, prefix+"shared-blob-dir", "", "Keep blobs of oci: layouts of the "+side+" in this `directory`")
}

func (f *placeFlags) completeFlags(cmd *cobra.Command) {
	for _, flag := range []string{"creds", "password", "registry-token", "username"} {
		completeFlag(cmd, f.prefix+flag, noWords)
	}
}

// get returns what the flags ask for; authFile is that of both ends.
func (f *placeFlags) get(authFile string) (engine.Place, error) {
	p := engine.Place{SharedBlobs: f.shared, DockerHost: f.host}
	p.AuthFile, p.CertDir, p.Creds, p.Anonymous, p.Token = authFile, f.certDir, f.creds, f.noCreds, f.token
	if f.authFile != "" {
		p.AuthFile = f.authFile
	}
	if f.changed(f.prefix + "tls-verify") {
		p.TLSVerify = &f.tlsVerify
	}
	if f.username != "" || f.password != "" {
		if f.username == "" || f.creds != "" {
			return p, fmt.Errorf("--%spassword needs --%[1]susername, and neither goes with --%[1]screds", f.prefix)
		}
		p.Creds = f.username + ":" + f.password
	}
	ways := 0
	for _, used := range []bool{p.Creds != "", f.noCreds, f.token != ""} {
		if used {
			ways++
		}
	}
	if ways > 1 {
		return p, fmt.Errorf("only one of --%screds, --%[1]sno-creds and --%[1]sregistry-token can be used", f.prefix)
	}
	return p, nil
}

// transferFlags are what copy and sync have in common.
type transferFlags struct {
	signFlags
	source, dest     placeFlags
	all              bool
	authFile         string
	delay            time.Duration
	format           string
	preserveDigests  bool
	removeSignatures bool
	retries          uint
	changed          func(flag string) bool
}

func (f *transferFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	f.signFlags.addFlags(flags)
	f.source.addFlags(flags, "src-", "source")
	f.dest.addFlags(flags, "dest-", "destination")
	flags.BoolVarP(&f.all, "all", "a", false, "Copy all images of a list, with the list")
	flags.StringVar(&f.authFile, "authfile", "", "Read registry credentials from this `file`")
	flags.VarP(newChoice(&f.format, manifestFormats...), "format", "f", "Write a manifest of this `format`: oci, v2s2 or v2s1")
	flags.BoolVar(&f.preserveDigests, "preserve-digests", false, "Fail rather than change a manifest")
	flags.BoolVar(&f.removeSignatures, "remove-signatures", false, "Leave behind the signatures of the source")
	flags.UintVar(&f.retries, "retry-times", 3, "Try this `number` of times again when the registry or the network fails")
	flags.DurationVar(&f.delay, "retry-delay", 0, "Wait this `time` before each new try, in place of 1s, 2s, 4s, ...")
}

func (f *transferFlags) completeFlags(cmd *cobra.Command) {
	f.source.completeFlags(cmd)
	f.dest.completeFlags(cmd)
	completeFlag(cmd, "format", fixedWords(manifestFormats...))
	for _, flag := range []string{"retry-times", "retry-delay", "sign-by"} {
		completeFlag(cmd, flag, noWords)
	}
}

// options turns flags into what the engine is asked for, progress aside.
func (f *transferFlags) options(app *App) (engine.CopyOptions, error) {
	opts := engine.CopyOptions{
		All: f.all, Retry: engine.Retry{Delay: f.delay}, Sign: f.signFlags.get(app), Format: f.format,
		PreserveDigests: f.preserveDigests, RemoveSignatures: f.removeSignatures,
	}
	if f.changed("retry-times") {
		opts.Retry.Count = &f.retries
	}
	var err error
	if opts.Source, err = f.source.get(f.authFile); err != nil {
		return opts, err
	}
	opts.Dest, err = f.dest.get(f.authFile)
	return opts, err
}

type imageCopyFlags struct {
	transferFlags
	platformFlags
	compressionFlags
	encryptFlags
	tags               []string
	decryptionKeys     []string
	compress           bool
	decompress         bool
	acceptUncompressed bool
	precompute         bool
	digestFile         string
	identity           string
	multiArch          string
	quiet              bool
}

// multiArchs are the values of --multi-arch.
var multiArchs = []string{"system", "all", "index-only"}

func (f *imageCopyFlags) addFlags(flags *pflag.FlagSet) {
	f.transferFlags.addFlags(flags)
	f.platformFlags.addFlags(flags)
	f.compressionFlags.addFlags(flags, "dest-")
	f.encryptFlags.addFlags(flags)
	f.source.addLocalFlags(flags, "src-", "source")
	f.dest.addLocalFlags(flags, "dest-", "destination")
	flags.StringSliceVar(&f.tags, "additional-tag", nil, "Write this `name`, too, into a docker-archive:")
	flags.StringSliceVar(&f.decryptionKeys, "decryption-key", nil, "Decrypt encrypted layers with this key, `FILE[:PASSWORD]`")
	flags.BoolVar(&f.compress, "dest-compress", false, "Compress layers, in a destination dir:")
	flags.BoolVar(&f.decompress, "dest-decompress", false, "Decompress layers, in a destination dir:")
	flags.BoolVar(&f.acceptUncompressed, "dest-oci-accept-uncompressed-layers", false, "Leave layers as they are, in a destination oci:")
	flags.BoolVar(&f.precompute, "dest-precompute-digests", false, "Look for layers at the destination before they are compressed and sent")
	flags.StringVar(&f.digestFile, "digestfile", "", "Write the digest of the copy to this `file`")
	flags.Var(newChoice(&f.multiArch, multiArchs...), "multi-arch", "Copy these images of a list, `which`: system, all or index-only")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
	flags.StringVar(&f.identity, "sign-identity", "", "Sign the image as this `name`, in place of the destination's")
}

func (f *imageCopyFlags) options(app *App) (engine.CopyOptions, error) {
	opts, err := f.transferFlags.options(app)
	if err != nil {
		return opts, err
	}
	if f.all && f.multiArch != "" {
		return opts, errors.New("--all and --multi-arch cannot be used together")
	}
	platform, err := f.platformFlags.get()
	opts.Platform = engine.RemotePlatform(platform)
	opts.All = f.all || f.multiArch == "all"
	opts.IndexOnly = f.multiArch == "index-only"
	opts.Compression, opts.Encrypt, opts.DecryptionKeys = f.compressionFlags.get(), f.encryptFlags.get(), f.decryptionKeys
	opts.Sign.Identity = f.identity
	opts.AdditionalTags, opts.DirCompress, opts.DirDecompress = f.tags, f.compress, f.decompress
	opts.AcceptUncompressed, opts.PrecomputeDigests = f.acceptUncompressed, f.precompute
	return opts, err
}

func newImageCopyCommand(app *App) *cobra.Command {
	var opts imageCopyFlags
	cmd := &cobra.Command{
		Use:   "copy [options] SOURCE DESTINATION",
		Short: "Copy an image between any two places",
		Long:  "Copies an image from one place to another, each named with its transport, as `skopeo copy` does. Unless one of them is containers-storage: the local store takes no part.",
		Example: `  vpod image copy docker://registry.example/app:1 docker://other.example/app:1
  vpod image copy --all docker://registry.example/app:1 oci:layout:1
  vpod image copy docker-archive:app.tar docker://registry.example/app:2`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.copyImage(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: transportWords,
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.transferFlags.completeFlags(cmd)
		opts.platformFlags.completeFlags(cmd)
		completeFlag(cmd, "multi-arch", fixedWords(multiArchs...))
		completeFlag(cmd, "dest-compress-format", fixedWords(compressionFormats...))
	})
	return cmd
}

func (app *App) copyImage(ctx context.Context, f *imageCopyFlags, args []string) error {
	opts, err := f.options(app)
	if err != nil {
		return err
	}
	for _, name := range args {
		if strings.HasPrefix(name, "containers-storage:") {
			if err := app.enterStore(); err != nil {
				return err
			}
		}
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	digest, err := eng.CopyImage(ctx, args[0], args[1], opts)
	if err != nil {
		return err
	}
	return writeDigest(f.digestFile, digest)
}

// transportWords offers the transports; after them a shell completes files.
func transportWords(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return noWords(cmd, args, toComplete)
	}
	return []string{"docker://", "oci:", "oci-archive:", "docker-archive:", "dir:", "containers-storage:"}, cobra.ShellCompDirectiveNoSpace
}
