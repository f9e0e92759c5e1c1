package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// storeCopier is what image scp needs of the engine.
type storeCopier interface {
	ScpImage(ctx context.Context, from, to engine.ImageAt, opts engine.ScpOptions) error
}

// newImageScpCommand does not enter the user namespace: the commands that save and
// load do.
func newImageScpCommand(app *App) *cobra.Command {
	var quiet bool
	cmd := &cobra.Command{
		Use:   "scp [options] [HOST::]IMAGE [HOST::]",
		Short: "Copy an image to or from another host",
		Long:  "Copies an image between the stores of two hosts, one of which may be this one, by way of ssh(1). The other host has vpod or Podman.",
		Example: `  vpod image scp alpine build.example::
  vpod image scp me@build.example::localhost/app:1
  vpod image scp one.example::localhost/app:1 two.example::`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.scpImage(cmd.Context(), quiet, args)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "Show no progress")
	})
	return cmd
}

func (app *App) scpImage(ctx context.Context, quiet bool, args []string) error {
	from, err := engine.ParseImageAt(args[0])
	if err != nil {
		return err
	}
	var to engine.ImageAt
	if len(args) > 1 {
		if to, err = engine.ParseImageAt(args[1]); err != nil {
			return err
		}
	}
	switch {
	case from.Image == "":
		return errors.New("name the image after ::")
	case to.Image != "":
		return withHint(errors.New("an image keeps its names when it is copied: the destination is a host, as HOST::"), "give it another with `vpod tag` afterwards")
	case from.Host == "" && to.Host == "":
		return withHint(errors.New("source and destination are this host"), "name a host, as HOST::; another user's store is reached as USER@localhost::")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return eng.ScpImage(ctx, from, to, engine.ScpOptions{Quiet: quiet, Stdout: app.Stdout, Stderr: app.Stderr})
}
