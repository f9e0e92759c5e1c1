package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/containers/common/pkg/completion"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// importer is what import needs of the engine.
type importer interface {
	Import(ctx context.Context, opts engine.ImportOptions) (string, error)
}

type importFlags struct {
	arch, os, variant string
	changes           []string
	message           string
	quiet             bool
}

func (f *importFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.arch, "arch", "", "Say that the image is for this architecture, `ARCH`")
	flags.StringVar(&f.os, "os", "", "Say that the image is for this operating system, `OS`")
	flags.StringVar(&f.variant, "variant", "", "Say that the image is for this `variant` of the architecture")
	flags.StringArrayVarP(&f.changes, "change", "c", nil, "Set by this `instruction`: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR")
	flags.StringVarP(&f.message, "message", "m", "", "Note this `text` in the image's history")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
}

func newImportCommand(app *App) *cobra.Command {
	var opts importFlags
	cmd := withStore(&cobra.Command{
		Use:   "import [options] PATH [REFERENCE]",
		Short: "Make an image from an archive of files",
		Long:  "Makes an image with one layer from a tar archive, compressed or not: a file, the address of one, or standard input, which is -. Prints its id.",
		Example: `  vpod import rootfs.tar.xz localhost/debian:12
  vpod import --change "CMD /bin/sh" https://example.org/rootfs.tar.gz mine
  tar -C rootfs -c . | vpod import - mine`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.importImage(cmd.Context(), opts, args)
		},
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "os", completion.AutocompleteOS)
		completeFlag(cmd, "arch", completion.AutocompleteArch)
		completeFlag(cmd, "variant", noWords)
		completeFlag(cmd, "change", keyWords("CMD ", "ENTRYPOINT ", "ENV ", "EXPOSE ", "LABEL ", "STOPSIGNAL ", "USER ", "VOLUME ", "WORKDIR "))
		completeFlag(cmd, "message", noWords)
	})
	return cmd
}

func (app *App) importImage(ctx context.Context, f importFlags, args []string) error {
	if args[0] == "-" && app.Terminal.IsTerminal(0) {
		return withHint(errors.New("cannot read an archive from a terminal"), "name a file, or redirect standard input")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	opts := engine.ImportOptions{
		Source: args[0], Stdin: app.input(ctx),
		Changes: f.changes, Message: f.message,
		OS: f.os, Arch: f.arch, Variant: f.variant,
	}
	if len(args) > 1 {
		opts.Reference = args[1]
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	id, err := eng.Import(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Fprintln(app.Stdout, "sha256:"+id)
	return nil
}
