package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// puller is what pull needs of the engine.
type puller interface {
	Pull(ctx context.Context, name string, opts engine.PullOptions) (engine.Image, error)
	PullAllTags(ctx context.Context, repository string, opts engine.PullOptions) ([]engine.Image, error)
}

type pullFlags struct {
	fetchFlags
	allTags bool
	policy  string
	quiet   bool
}

func (f *pullFlags) addFlags(flags *pflag.FlagSet) {
	f.fetchFlags.addFlags(flags)
	flags.BoolVarP(&f.allTags, "all-tags", "a", false, "Fetch the images of all tags of a repository")
	f.policy = "always"
	flags.Var(newChoice(&f.policy, pullPolicies...), "policy", "Fetch by this `policy`: always, missing, newer or never")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
}

func newPullCommand(app *App) *cobra.Command {
	var opts pullFlags
	cmd := withStore(&cobra.Command{
		Use:   "pull [options] IMAGE [IMAGE...]",
		Short: "Fetch images into the local store",
		Long:  "Copies images from registries, archives or directories into the store that Podman and Buildah use, too, and prints their ids.",
		Example: `  vpod pull docker.io/library/alpine
  vpod pull oci:layout:latest docker-archive:image.tar
  vpod pull --platform linux/arm64 debian
  vpod pull --all-tags registry.example/team/app`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.pull(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.fetchFlags.completeFlags(cmd)
		completeFlag(cmd, "policy", fixedWords(pullPolicies...))
	})
	return cmd
}

func (app *App) pull(ctx context.Context, f *pullFlags, names []string) error {
	opts := engine.PullOptions{Policy: f.policy}
	if err := f.fetchFlags.apply(&opts); err != nil {
		return err
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	fetch := func(name string) ([]engine.Image, error) {
		img, err := eng.Pull(ctx, name, opts)
		return []engine.Image{img}, err
	}
	if f.allTags {
		fetch = func(name string) ([]engine.Image, error) { return eng.PullAllTags(ctx, name, opts) }
	}
	var errs []error
	for _, name := range names {
		images, err := fetch(name)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, err)
			continue
		}
		for _, img := range images {
			fmt.Fprintln(app.Stdout, img.ID)
		}
	}
	return app.printErrors(ctx, errs, ownFailure)
}
