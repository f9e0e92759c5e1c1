package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exporter is what export needs of the engine.
type exporter interface {
	Export(ctx context.Context, container string, w io.Writer) error
	ExportFile(ctx context.Context, container, path string) error
}

type exportFlags struct{ output string }

func (f *exportFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&f.output, "output", "o", "", "Write to this `file` in place of standard output")
}

func newExportCommand(app *App) *cobra.Command {
	var opts exportFlags
	cmd := &cobra.Command{
		Use:   "export [options] CONTAINER",
		Short: "Write the files of a container as a tar archive",
		Long:  "Writes all files of a container, running or not, to a tar archive, by default to standard output. What is mounted in the container, and the content of its volumes, is not among them.",
		Example: `  vpod export --output web.tar web
  vpod export web | tar t`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.export(cmd.Context(), opts, args[0])
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() { opts.addFlags(cmd.Flags()) })
	return cmd
}

func (app *App) export(ctx context.Context, f exportFlags, name string) error {
	if f.output == "" && app.Terminal.IsTerminal(1) {
		return withHint(errors.New("refusing to export to a terminal"), "use --output, or redirect standard output")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if f.output != "" {
		return eng.ExportFile(ctx, name, f.output)
	}
	return eng.Export(ctx, name, app.Stdout)
}
