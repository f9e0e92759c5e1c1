package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// saver is what save needs of the engine.
type saver interface {
	Save(ctx context.Context, names []string, opts engine.SaveOptions) error
}

// saveFormats are the values of --format; the first is the default.
var saveFormats = []string{"docker-archive", "oci-archive", "oci-dir", "docker-dir"}

type saveFlags struct {
	compress bool
	format   string
	multi    bool
	output   string
	quiet    bool

	uncompressed bool
}

func (f *saveFlags) addFlags(flags *pflag.FlagSet) {
	f.format = saveFormats[0]
	flags.BoolVar(&f.compress, "compress", false, "Compress layers, with --format docker-dir")
	flags.Var(newChoice(&f.format, saveFormats...), "format", "Write this `format`: "+strings.Join(saveFormats, ", "))
	flags.BoolVarP(&f.multi, "multi-image-archive", "m", false, "Take further arguments as images, not as tags of the first, with --format docker-archive")
	flags.StringVarP(&f.output, "output", "o", "", "Write to this `file` or directory in place of standard output")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
	flags.BoolVar(&f.uncompressed, "uncompressed", false, "Leave layers uncompressed, with --format oci-archive or oci-dir")
}

func newSaveCommand(app *App) *cobra.Command {
	var opts saveFlags
	cmd := withStore(&cobra.Command{
		Use:   "save [options] IMAGE [IMAGE...]",
		Short: "Save images to an archive",
		Long:  "Writes images of the local store to an archive or a directory, by default to standard output.",
		Example: `  vpod save --output alpine.tar alpine
  vpod save --format oci-archive alpine | xz > alpine.tar.xz
  vpod save --multi-image-archive --output both.tar alpine debian`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.save(cmd.Context(), opts, args)
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "format", fixedWords(saveFormats...))
	})
	return cmd
}

// check refuses what would fill a terminal with an archive. What formats can hold
// is the image store's to say.
func (f *saveFlags) check(app *App) error {
	if f.output == "" && app.Terminal.IsTerminal(1) {
		return withHint(errors.New("refusing to save to a terminal"), "use --output, or redirect standard output")
	}
	return nil
}

func (app *App) save(ctx context.Context, f saveFlags, names []string) error {
	if err := f.check(app); err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	opts := engine.SaveOptions{Format: f.format, Output: f.output, Stdout: app.Stdout, Compress: f.compress, Uncompressed: f.uncompressed, Multi: f.multi}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	return eng.Save(ctx, names, opts)
}
