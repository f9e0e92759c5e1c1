package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// starter is what run and start need of the engine.
type starter interface {
	Start(ctx context.Context, nameOrID string, opts engine.StartOptions) (exitCode int, err error)
	PrepareStart(ctx context.Context, nameOrID string) error
	StartSelected(ctx context.Context, sel engine.Selection) []engine.Result
}

type startFlags struct {
	attachFlags
	selectionFlags
	attach      bool
	interactive bool
}

func (f *startFlags) addFlags(flags *pflag.FlagSet) {
	f.attachFlags.addFlags(flags)
	f.selectionFlags.addFlags(flags, "Start", selectAll|selectLatest|selectFilter|shortFilter)
	flags.BoolVarP(&f.attach, "attach", "a", false, "Attach to the container's output and wait for its end")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "Attach to the container's input, too")
}

func newStartCommand(app *App) *cobra.Command {
	var opts startFlags
	cmd := &cobra.Command{
		Use:   "start [options] CONTAINER [CONTAINER...]",
		Short: "Start one or more containers",
		Long:  "Boots the machines of containers that do not run. One container can be attached to.",
		Example: `  vpod start web
  vpod start --attach --interactive 860a4b231279
  vpod start --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.start(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(container.Created, container.Exited),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		app.timing.addFlags(app, cmd.Flags())
		opts.selectionFlags.completeFlags(app, cmd)
		completeFlag(cmd, "timing", fixedWords(timingFormats...))
		completeFlag(cmd, "detach-keys", noWords)
	})
	return cmd
}

func (app *App) start(ctx context.Context, f *startFlags, args []string) error {
	sel, err := f.selection(args)
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if !f.attach && !f.interactive {
		for _, flag := range []string{"sig-proxy", "detach-keys"} {
			if f.attachFlags.changed(flag) {
				return errors.New("--" + flag + " needs --attach")
			}
		}
		if app.timing.record != nil && (sel.All || sel.Filters != nil || len(sel.Names) > 1) {
			return errors.New("--timing is about the start of one container")
		}
		return app.finish(ctx, eng.StartSelected(ctx, sel), ownFailure)
	}
	name, err := app.onlyOne(ctx, eng, sel, "start")
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
	if err := eng.PrepareStart(ctx, c.Spec.ID); err != nil { // before the terminal is raw
		return err
	}
	s, err := app.openSession(ctx, sessionOptions{
		stdin:      f.interactive && c.Spec.Process.Interactive,
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
	code, err := eng.Start(s.ctx, c.Spec.ID, engine.StartOptions{Attach: &s.streams})
	return s.leave(code, err)
}

// onlyOne returns the one container of a selection for verbs that attach.
func (app *App) onlyOne(ctx context.Context, eng lister, sel engine.Selection, verb string) (string, error) {
	if sel.All || len(sel.Filters) > 0 || len(sel.Names) > 1 {
		return "", errors.New("you cannot " + verb + " and attach several containers at once")
	}
	if !sel.Latest {
		return sel.Names[0], nil
	}
	return app.latest(ctx, eng)
}

// latest returns the id of the container created last.
func (app *App) latest(ctx context.Context, eng lister) (string, error) {
	list, err := eng.List(ctx, engine.ListOptions{All: true, Latest: true})
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "", errors.New("there is no container: --latest has nothing to name")
	}
	return list[0].Spec.ID, nil
}
