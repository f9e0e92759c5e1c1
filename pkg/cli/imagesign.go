package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// imageSigner is what image sign needs of the engine.
type imageSigner interface {
	SignImage(ctx context.Context, name string, opts engine.SignImageOptions) error
}

type imageSignFlags struct {
	accessFlags
	all            bool
	by             string
	directory      string
	passphraseFile string
}

func (f *imageSignFlags) addFlags(flags *pflag.FlagSet) {
	f.accessFlags.addFlags(flags)
	flags.BoolVarP(&f.all, "all", "a", false, "Sign all images of a list, with the list")
	flags.StringVarP(&f.directory, "directory", "d", "", "Keep the signatures below this `directory`")
	flags.StringVar(&f.by, "sign-by", "", "Sign with this `key` of gpg(1)")
	flags.StringVar(&f.passphraseFile, "sign-passphrase-file", "", "Read the key's passphrase from this `file`")
}

func newImageSignCommand(app *App) *cobra.Command {
	var opts imageSignFlags
	cmd := &cobra.Command{
		Use:   "sign [options] IMAGE [IMAGE...]",
		Short: "Sign images that are on a registry",
		Long:  "Signs images that are on a registry with a key of gpg(1), and keeps the signatures where registries.d says, or below a directory.",
		Example: `  vpod image sign --sign-by release@example.com docker://registry.example/team/app:1
  vpod image sign --sign-by release@example.com --directory sigs registry.example/team/app:1`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.signImages(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: noWords,
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "creds", noWords)
		completeFlag(cmd, "sign-by", noWords)
	})
	return cmd
}

func (app *App) signImages(ctx context.Context, f *imageSignFlags, names []string) error {
	opts := engine.SignImageOptions{Directory: f.directory, All: f.all}
	opts.GPGKey, opts.PassphraseFile = f.by, f.passphraseFile
	var err error
	if opts.Access, err = f.accessFlags.get(); err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := eng.SignImage(ctx, name, opts); err != nil {
			return err
		}
	}
	return nil
}
