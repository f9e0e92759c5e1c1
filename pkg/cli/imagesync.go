package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// imageSyncer is what image sync needs of the engine.
type imageSyncer interface {
	SyncImages(ctx context.Context, source, dest string, opts engine.SyncOptions) (int, error)
}

// Values of --src and --dest.
var (
	syncSources      = []string{"docker", "dir", "yaml"}
	syncDestinations = []string{"docker", "dir"}
)

type imageSyncFlags struct {
	transferFlags
	from, to  string
	suffix    string
	dryRun    bool
	keepGoing bool
	quiet     bool
	scoped    bool
}

func (f *imageSyncFlags) addFlags(flags *pflag.FlagSet) {
	f.transferFlags.addFlags(flags)
	flags.StringVar(&f.suffix, "append-suffix", "", "Append this `text` to the names at the destination")
	flags.VarP(newChoice(&f.to, syncDestinations...), "dest", "d", "Copy to this `kind` of place: docker or dir")
	flags.BoolVar(&f.dryRun, "dry-run", false, "Only show what would be copied")
	flags.BoolVar(&f.keepGoing, "keep-going", false, "Go on after an image that cannot be copied")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
	flags.BoolVar(&f.scoped, "scoped", false, "Keep the whole names of the source at the destination")
	flags.VarP(newChoice(&f.from, syncSources...), "src", "s", "Copy from this `kind` of place: docker, dir or yaml")
}

func newImageSyncCommand(app *App) *cobra.Command {
	var opts imageSyncFlags
	cmd := &cobra.Command{
		Use:   "sync [options] SOURCE DESTINATION",
		Short: "Copy many images between registries and directories",
		Long:  "Copies all images of a repository, of a directory, or of a list in a YAML file to a registry or below a directory, as `skopeo sync` does. The local store takes no part.",
		Example: `  vpod image sync --src docker --dest dir registry.example/team/app /media/usb
  vpod image sync --src dir --dest docker /media/usb other.example/team
  vpod image sync --src yaml --dest docker --scoped list.yaml other.example`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.syncImages(cmd.Context(), &opts, args)
		},
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.transferFlags.completeFlags(cmd)
		completeFlag(cmd, "src", fixedWords(syncSources...))
		completeFlag(cmd, "dest", fixedWords(syncDestinations...))
		completeFlag(cmd, "append-suffix", noWords)
	})
	return cmd
}

func (app *App) syncImages(ctx context.Context, f *imageSyncFlags, args []string) error {
	if f.from == "" || f.to == "" {
		return errors.New("the kinds of source and destination have to be given, with --src and --dest")
	}
	if f.quiet && f.dryRun {
		return errors.New("--quiet and --dry-run cannot be used together: nothing would be shown")
	}
	copies, err := f.options(app)
	if err != nil {
		return err
	}
	opts := engine.SyncOptions{CopyOptions: copies, From: f.from, To: f.to, Scoped: f.scoped, Suffix: f.suffix, DryRun: f.dryRun, KeepGoing: f.keepGoing}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	copied, err := eng.SyncImages(ctx, args[0], args[1], opts)
	if !f.quiet {
		verb := "Copied"
		if f.dryRun {
			verb = "Would copy"
		}
		app.notice(fmt.Sprintf("%s %d images", verb, copied))
	}
	return err
}
