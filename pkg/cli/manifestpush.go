package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

type manifestPushFlags struct {
	sendFlags
	remove bool
}

func (f *manifestPushFlags) addFlags(flags *pflag.FlagSet) {
	f.sendFlags.addFlags(flags)
	flags.BoolVar(&f.all, "all", true, "Push the images of the list, too")
	flags.StringVar(&f.digestFile, "digestfile", "", "Write the digest of the pushed list to this `file`")
	flags.VarP(newChoice(&f.format, "oci", "v2s2"), "format", "f", "Write a list of this `format`: oci or v2s2")
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
		opts.sendFlags.completeFlags(cmd)
		completeFlag(cmd, "format", fixedWords("oci", "v2s2"))
	})
	return cmd
}

func (app *App) pushManifest(ctx context.Context, f *manifestPushFlags, args []string) error {
	opts, err := f.options(app)
	if err != nil {
		return err
	}
	opts.List = true
	if err := app.send(ctx, &f.sendFlags, opts, args); err != nil || !f.remove {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	_, err = eng.RemoveImages(ctx, args[:1], engine.RemoveImagesOptions{Lists: true})
	return err
}
