package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// puller is what pull needs of the engine.
type puller interface {
	Pull(ctx context.Context, name string, opts engine.PullOptions) (engine.Image, error)
}

type pullFlags struct {
	platformFlags
	registryFlags
	certDir string
	creds   string
	policy  string
	quiet   bool
}

func (f *pullFlags) addFlags(flags *pflag.FlagSet) {
	f.platformFlags.addFlags(flags)
	f.registryFlags.addFlags(flags)
	f.policy = "always"
	flags.StringVar(&f.certDir, "cert-dir", "", "Take certificates and keys for the registry from this `directory`")
	flags.StringVar(&f.creds, "creds", "", "Log in to the registry as `USER[:PASSWORD]`")
	flags.Var(newChoice(&f.policy, pullPolicies...), "policy", "Fetch by this `policy`: always, missing, newer or never")
	flags.BoolVarP(&f.quiet, "quiet", "q", false, "Show no progress")
}

// options turns flags into what the engine is asked for, progress aside.
func (f *pullFlags) options() (engine.PullOptions, error) {
	opts := engine.PullOptions{Policy: f.policy, Creds: f.creds, CertDir: f.certDir}
	var err error
	if opts.Platform, err = f.platformFlags.get(); err != nil {
		return opts, err
	}
	if f.certDir != "" {
		if info, err := os.Stat(f.certDir); err != nil {
			return opts, fmt.Errorf("--cert-dir: %w", err)
		} else if !info.IsDir() {
			return opts, fmt.Errorf("--cert-dir %s: not a directory", f.certDir)
		}
	}
	return opts, f.registryFlags.apply(&opts)
}

func newPullCommand(app *App) *cobra.Command {
	var opts pullFlags
	cmd := withStore(&cobra.Command{
		Use:   "pull [options] IMAGE [IMAGE...]",
		Short: "Fetch images into the local store",
		Long:  "Copies images from registries, archives or directories into the store that Podman and Buildah use, too, and prints their ids.",
		Example: `  vpod pull docker.io/library/alpine
  vpod pull oci:layout:latest docker-archive:image.tar
  vpod pull --platform linux/arm64 debian`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.pull(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.platformFlags.completeFlags(cmd)
		completeFlag(cmd, "policy", fixedWords(pullPolicies...))
		completeFlag(cmd, "creds", noWords)
	})
	return cmd
}

func (app *App) pull(ctx context.Context, f *pullFlags, names []string) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	if !f.quiet {
		opts.Progress = app.Stderr
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		img, err := eng.Pull(ctx, name, opts)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, err)
			continue
		}
		fmt.Fprintln(app.Stdout, img.ID)
	}
	return app.printErrors(ctx, errs, ownFailure)
}
