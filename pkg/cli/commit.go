package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// committer is what commit needs of the engine.
type committer interface {
	Commit(ctx context.Context, container string, opts engine.CommitOptions) (string, error)
}

// commitFormats are the values of --format; the first is the default.
var commitFormats = []string{"oci", "docker"}

type commitFlags struct {
	author, message string
	changes         []string
	config          string
	format          string
	iidFile         string
	pause           bool
	quiet           bool
	squash          bool
}

func (f *commitFlags) addFlags(flags *pflag.FlagSet) {
	f.format = commitFormats[0]
	flags.StringVarP(&f.author, "author", "a", "", "Note this `author` of the image")
	flags.StringArrayVarP(&f.changes, "change", "c", nil, "Set by this `instruction`: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR")
	flags.StringVar(&f.config, "config", "", "Merge the configuration in this `file`, JSON in Docker's form, last")
	flags.VarP(newChoice(&f.format, commitFormats...), "format", "f", "Write manifest and configuration in this `format`: oci, docker")
	flags.StringVar(&f.iidFile, "iidfile", "", "Write the image's id to this `file`")
	flags.StringVarP(&f.message, "message", "m", "", "Note this `text` in the image's history, with --format docker")
	flags.BoolVarP(&f.pause, "pause", "p", true, "Let nothing in the container write to its disk while it is read")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
	flags.BoolVarP(&f.squash, "squash", "s", false, "Make one layer of the image's and the new one")
}

func newCommitCommand(app *App) *cobra.Command {
	var opts commitFlags
	cmd := withStore(&cobra.Command{
		Use:   "commit [options] CONTAINER [IMAGE]",
		Short: "Make an image of a container",
		Long:  "Makes an image of what a container, running or not, has changed of its own image, and prints its id.",
		Example: `  vpod commit web localhost/web:patched
  vpod commit --change "CMD /bin/server" --author "Ann <ann@example.org>" web web
  vpod commit --format docker --message "with the fix" web`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.commit(cmd.Context(), opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "author", noWords)
		completeFlag(cmd, "change", keyWords("CMD ", "ENTRYPOINT ", "ENV ", "EXPOSE ", "LABEL ", "ONBUILD ", "STOPSIGNAL ", "USER ", "VOLUME ", "WORKDIR "))
		completeFlag(cmd, "format", fixedWords(commitFormats...))
		completeFlag(cmd, "message", noWords)
	})
	return cmd
}

func (app *App) commit(ctx context.Context, f commitFlags, args []string) error {
	opts := engine.CommitOptions{
		Format: f.format, Author: f.author, Message: f.message, Changes: f.changes, Pause: f.pause, Squash: f.squash,
	}
	if len(args) > 1 {
		opts.Image = args[1]
	}
	if f.config != "" {
		var err error
		if opts.Override, err = os.ReadFile(f.config); err != nil {
			return fmt.Errorf("--config: %w", err)
		}
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	id, err := eng.Commit(ctx, args[0], opts)
	if err != nil {
		return err
	}
	if f.iidFile != "" {
		if err := os.WriteFile(f.iidFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("--iidfile: %w", err)
		}
	}
	_, err = fmt.Fprintln(app.Stdout, id)
	return err
}
