package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// attacher is what attach needs of the engine.
type attacher interface {
	Attach(ctx context.Context, nameOrID string, s engine.Streams) (exitCode int, err error)
}

// getter finds one container.
type getter interface {
	Get(ctx context.Context, nameOrID string) (engine.Listed, error)
}

type attachCommandFlags struct {
	attachFlags
	latest  bool
	noStdin bool
}

func (f *attachCommandFlags) addFlags(flags *pflag.FlagSet) {
	f.attachFlags.addFlags(flags)
	flags.BoolVarP(&f.latest, "latest", "l", false, "Attach to the container created last")
	flags.BoolVar(&f.noStdin, "no-stdin", false, "Do not connect standard input")
}

func newAttachCommand(app *App) *cobra.Command {
	var opts attachCommandFlags
	cmd := &cobra.Command{
		Use:   "attach [options] CONTAINER",
		Short: "Attach to a running container",
		Long:  "Connects the terminal, or the standard streams, with the container's command until it ends or the detach keys are typed. Several users may be attached at once.",
		Example: `  vpod attach web
  vpod attach --detach-keys ctrl-x web`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.attach(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.containerWords(container.Running)),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "detach-keys", noWords)
	})
	return cmd
}

func (app *App) attach(ctx context.Context, f *attachCommandFlags, args []string) error {
	eng, err := app.engine()
	if err != nil {
		return err
	}
	name, err := app.oneContainer(ctx, eng, f.latest, args)
	if err != nil {
		return err
	}
	c, err := eng.Get(ctx, name)
	if err != nil {
		return err
	}
	keys, err := f.keys(app)
	if err != nil {
		return err
	}
	s, err := app.openSession(ctx, sessionOptions{
		stdin:      !f.noStdin && c.Spec.Process.Interactive,
		stdout:     true,
		stderr:     true,
		tty:        c.Spec.Process.Terminal,
		forward:    f.sigProxy,
		detachKeys: keys,
	})
	if err != nil {
		return err
	}
	defer s.close()
	code, err := eng.Attach(s.ctx, c.Spec.ID, s.streams)
	return s.leave(code, err)
}

// oneContainer returns the container that a command's only argument or --latest
// names.
func (app *App) oneContainer(ctx context.Context, eng lister, latest bool, args []string) (string, error) {
	switch {
	case latest && len(args) > 0:
		return "", errors.New("--latest and a container's name cannot be given together")
	case latest:
		return app.latest(ctx, eng)
	case len(args) == 0:
		return "", errors.New("you must provide a container's name or id, or --latest")
	}
	return args[0], nil
}
