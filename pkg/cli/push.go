package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// pusher is what push needs of the engine.
type pusher interface {
	Push(ctx context.Context, name, destination string, opts engine.PushOptions) (string, error)
}

// sendFlags are what push and manifest push have in common. Their help differs where
// it says what is pushed.
type sendFlags struct {
	accessFlags
	retryFlags
	compressionFlags
	signFlags
	all              bool
	digestFile       string
	format           string
	quiet            bool
	removeSignatures bool
}

func (f *sendFlags) addFlags(flags *pflag.FlagSet) {
	f.accessFlags.addFlags(flags)
	f.retryFlags.addFlags(flags)
	f.compressionFlags.addFlags(flags, "")
	f.signFlags.addFlags(flags)
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
}

func (f *sendFlags) completeFlags(cmd *cobra.Command) {
	for _, flag := range []string{"creds", "retry", "retry-delay", "compression-level", "sign-by"} {
		completeFlag(cmd, flag, noWords)
	}
	completeFlag(cmd, "compression-format", fixedWords(compressionFormats...))
}

// options turns flags into what the engine is asked for.
func (f *sendFlags) options(app *App) (engine.PushOptions, error) {
	opts := engine.PushOptions{
		Retry: f.retryFlags.get(), Compression: f.compressionFlags.get(), Sign: f.signFlags.get(app),
		Format: f.format, RemoveSignatures: f.removeSignatures, All: f.all,
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	var err error
	opts.Access, err = f.accessFlags.get()
	return opts, err
}

// send pushes the image args names first, to the place it names next, if any.
func (app *App) send(ctx context.Context, f *sendFlags, opts engine.PushOptions, args []string) error {
	eng, err := app.engine()
	if err != nil {
		return err
	}
	destination := ""
	if len(args) > 1 {
		destination = args[1]
	}
	digest, err := eng.Push(ctx, args[0], destination, opts)
	if err != nil {
		return err
	}
	return writeDigest(f.digestFile, digest)
}

type pushFlags struct {
	sendFlags
	encryptFlags
	compress bool
}

func (f *pushFlags) addFlags(flags *pflag.FlagSet) {
	f.sendFlags.addFlags(flags)
	f.encryptFlags.addFlags(flags)
	flags.BoolVar(&f.all, "all", false, "Push all images of a manifest list, with the list")
	flags.BoolVar(&f.compress, "compress", false, "Compress layers, in a destination dir:")
	flags.StringVar(&f.digestFile, "digestfile", "", "Write the digest of the pushed image to this `file`")
	flags.VarP(newChoice(&f.format, manifestFormats...), "format", "f", "Write a manifest of this `format`: oci, v2s2 or v2s1")
	flags.BoolVar(&f.removeSignatures, "remove-signatures", false, "Leave behind the signatures the image has")
}

func newPushCommand(app *App) *cobra.Command {
	var opts pushFlags
	cmd := withStore(&cobra.Command{
		Use:   "push [options] IMAGE [DESTINATION]",
		Short: "Copy an image to a registry",
		Long:  "Copies an image of the local store to a registry, by default to the one its name says; or, with another transport, to an archive or a directory.",
		Example: `  vpod push registry.example/team/app:1
  vpod push app registry.example/team/app:2
  vpod push --compression-format zstd:chunked app oci-archive:app.tar`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.push(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.completeFlags(cmd)
	})
	return cmd
}

func (f *pushFlags) completeFlags(cmd *cobra.Command) {
	f.sendFlags.completeFlags(cmd)
	completeFlag(cmd, "encrypt-layer", noWords)
	completeFlag(cmd, "encryption-key", noWords)
	completeFlag(cmd, "format", fixedWords(manifestFormats...))
}

func (app *App) push(ctx context.Context, f *pushFlags, args []string) error {
	opts, err := f.options(app)
	if err != nil {
		return err
	}
	opts.Encrypt, opts.DirCompress = f.encryptFlags.get(), f.compress
	return app.send(ctx, &f.sendFlags, opts, args)
}

// writeDigest writes what --digestfile asks for.
func writeDigest(path, digest string) error {
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, []byte(digest), 0o644); err != nil {
		return fmt.Errorf("--digestfile: %w", err)
	}
	return nil
}
