package cli

import (
	"io"

	"github.com/spf13/cobra"
)

func newImageTreeCommand(app *App) *cobra.Command {
	var children bool
	cmd := withStore(&cobra.Command{
		Use:   "tree [options] IMAGE",
		Short: "Draw the layers of an image",
		Long:  "Draws the layers an image of the local store consists of, or what was built on it.",
		Example: `  vpod image tree alpine
  vpod image tree --whatrequires alpine`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			drawn, err := eng.ImageTree(cmd.Context(), args[0], children)
			if err != nil {
				return err
			}
			_, err = io.WriteString(app.Stdout, drawn)
			return err
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		cmd.Flags().BoolVar(&children, "whatrequires", false, "Draw the images and layers that were built on this one")
	})
	return cmd
}
