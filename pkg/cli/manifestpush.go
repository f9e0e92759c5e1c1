package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

type manifestPushFlags struct {
	accessFlags
	retryFlags
	compressionFlags
	signFlags
	all              bool
	digestFile       string
	format           string
	quiet            bool
	remove           bool
	removeSignatures bool
}

func (f *manifestPushFlags) addFlags(flags *pflag.FlagSet) {
	f.accessFlags.addFlags(flags)
	f.retryFlags.addFlags(flags)
	f.compressionFlags.addFlags(flags, "")
	f.signFlags.addFlags(flags)
	flags.BoolVar(&f.all, "all", true, "Push the images of the list, too")
	flags.StringVar(&f.digestFile, "digestfile", "", "Write the digest of the pushed list to this `file`")
	flags.VarP(newChoice(&f.format, "oci", "v2s2"), "format", "f", "Write a list of this `format`: oci or v2s2")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
	flags.BoolVar(&f.remove, "rm", false, "Remove the list when it has been pushed")
	flags.BoolVar(&f.removeSignatures, "remove-signatures", false, "Leave behind the signatures the images have")
}

func newManifestPushCommand(app *App) *cobra.Command {
	var opts manifestPushFlags
	cmd := withStore(&cobra.Command{
		Use:   "push [options] LIST [DESTINATION]",
		Short: "Copy a manifest list to a registry",
		Long:  "Copies a manifest list of the local store, with the images it lists, to a registry, by default to the one its name says; or, with another transport, to a directory.",
		Example: `  vpod manifest push mylist registry.example/team/app:1
  vpod manifest push --rm mylist oci:layout:app`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.pushManifest(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		for _, flag := range []string{"creds", "retry", "retry-delay", "compression-level", "sign-by"} {
			completeFlag(cmd, flag, noWords)
		}
		completeFlag(cmd, "compression-format", fixedWords(compressionFormats...))
		completeFlag(cmd, "format", fixedWords("oci", "v2s2"))
	})
	return cmd
}

func (app *App) pushManifest(ctx context.Context, f *manifestPushFlags, args []string) error {
	opts := engine.PushOptions{
		Retry: f.retryFlags.get(), Compression: f.compressionFlags.get(), Sign: f.signFlags.get(app),
		Format: f.format, RemoveSignatures: f.removeSignatures, All: f.all, List: true,
	}
	var err error
	if opts.Access, err = f.accessFlags.get(); err != nil {
		return err
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
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
	if err := writeDigest(f.digestFile, digest); err != nil || !f.remove {
		return err
	}
	_, err = eng.RemoveImages(ctx, args[:1], engine.RemoveImagesOptions{Lists: true})
	return err
}
