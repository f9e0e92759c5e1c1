package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

func newContainerExistsCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use:     "exists CONTAINER",
		Short:   "Check whether a container exists",
		Long:    "Ends with 0 when there is a container of this name or id, and with 1 when there is none. Nothing is printed.",
		Example: `  vpod container exists web || vpod create --name web nginx`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			_, err = eng.Get(cmd.Context(), args[0])
			if errors.Is(err, engine.ErrNoContainer) {
				return exitWith(codeNotFound)
			}
			return err
		},
		ValidArgsFunction: oneWord(app.containerWords()),
	}
}

func newImageExistsCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:     "exists IMAGE",
		Short:   "Check whether an image exists",
		Long:    "Ends with 0 when the image is in the local store, and with 1 when it is not. Nothing is printed.",
		Example: `  vpod image exists alpine || vpod pull alpine`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			found, err := eng.ImageExists(cmd.Context(), args[0])
			if err != nil || found {
				return err
			}
			return exitWith(codeNotFound)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
}
