package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// pauser is what pause and unpause need of the engine.
type pauser interface {
	Pause(ctx context.Context, sel engine.Selection) []engine.Result
	Unpause(ctx context.Context, sel engine.Selection) []engine.Result
}

func newPauseCommand(app *App) *cobra.Command {
	var opts selectionFlags
	cmd := &cobra.Command{
		Use:   "pause [options] CONTAINER [CONTAINER...]",
		Short: "Let the machines of containers stand still",
		Long:  "Stops the processors of the machines of running containers until unpause. Memory and connections stay as they are.",
		Example: `  vpod pause web
  vpod pause --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.pause(cmd.Context(), &opts, args, Engine.Pause)
		},
		ValidArgsFunction: app.containerWords(container.Running),
	}
	app.lazily(cmd, func() { opts.addPauseFlags(app, cmd, "Pause") })
	return cmd
}

func newUnpauseCommand(app *App) *cobra.Command {
	var opts selectionFlags
	cmd := &cobra.Command{
		Use:   "unpause [options] CONTAINER [CONTAINER...]",
		Short: "Let the machines of paused containers go on",
		Long:  "Lets the machines of paused containers go on where they stood. Their clocks are set first.",
		Example: `  vpod unpause web
  vpod unpause --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.pause(cmd.Context(), &opts, args, Engine.Unpause)
		},
		ValidArgsFunction: app.containerWords(container.Running),
	}
	app.lazily(cmd, func() { opts.addPauseFlags(app, cmd, "Unpause") })
	return cmd
}

func (f *selectionFlags) addPauseFlags(app *App, cmd *cobra.Command, verb string) {
	f.addFlags(cmd.Flags(), verb, selectAll|selectLatest|selectFilter|selectCIDFile|shortAll|shortFilter)
	f.completeFlags(app, cmd)
}

// pause carries out either verb.
func (app *App) pause(ctx context.Context, f *selectionFlags, args []string, verb func(Engine, context.Context, engine.Selection) []engine.Result) error {
	sel, err := f.selection(args)
	if err != nil || emptySelection(sel) {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return app.finish(ctx, verb(eng, ctx, sel), ownFailure)
}
