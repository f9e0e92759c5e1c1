package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// loader is what load needs of the engine.
type loader interface {
	Load(ctx context.Context, input string, stdin io.Reader, progress io.Writer) ([]string, error)
}

func newLoadCommand(app *App) *cobra.Command {
	var input string
	var quiet bool
	cmd := withStore(&cobra.Command{
		Use:   "load [options]",
		Short: "Load images from an archive",
		Long:  "Reads images from an archive or directory that `save` of vpod, Podman or Docker wrote, by default from standard input.",
		Example: `  vpod load --input images.tar
  xzcat images.tar.xz | vpod load`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.load(cmd.Context(), input, quiet)
		},
	})
	app.lazily(cmd, func() {
		cmd.Flags().StringVarP(&input, "input", "i", "", "Read from this `file`, directory or address in place of standard input")
		cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "Show no progress")
	})
	return cmd
}

func (app *App) load(ctx context.Context, input string, quiet bool) error {
	if input == "" && app.Terminal.IsTerminal(0) {
		return withHint(errors.New("cannot read an archive from a terminal"), "use --input, or redirect standard input")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	var progress io.Writer
	if !quiet {
		progress = app.Stderr
	}
	names, err := eng.Load(ctx, input, app.input(ctx), progress)
	for _, name := range names {
		fmt.Fprintln(app.Stdout, "Loaded image:", name)
	}
	return err
}
