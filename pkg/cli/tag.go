package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// tagger is what tag and untag need of the engine.
type tagger interface {
	Tag(ctx context.Context, name string, newNames []string) error
	Untag(ctx context.Context, name string, names []string) error
}

func newTagCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:   "tag IMAGE TARGET_NAME [TARGET_NAME...]",
		Short: "Add names to an image",
		Long:  "Gives an image of the local store one or more names in addition to those it has.",
		Example: `  vpod tag 0e3bbc2 mine:latest
  vpod tag alpine registry.example/base/alpine:3`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return eng.Tag(cmd.Context(), args[0], args[1:])
		},
		ValidArgsFunction: app.imageWords,
	})
}

func newUntagCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:   "untag IMAGE [NAME...]",
		Short: "Remove names from an image",
		Long:  "Takes the names from an image of the local store, or all of its names when none is given. The image itself stays.",
		Example: `  vpod untag 0e3bbc2
  vpod untag alpine registry.example/base/alpine:3`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return eng.Untag(cmd.Context(), args[0], args[1:])
		},
		ValidArgsFunction: app.imageWords,
	})
}
