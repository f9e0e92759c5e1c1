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
	return newStandstillCommand(app, "Pause", Engine.Pause, &cobra.Command{
		Use:   "pause [options] CONTAINER [CONTAINER...]",
		Short: "Let the machines of containers stand still",
		Long:  "Stops the processors of the machines of running containers until unpause. Memory and connections stay as they are.",
		Example: `  vpod pause web
  vpod pause --all`,
	})
}

func newUnpauseCommand(app *App) *cobra.Command {
	return newStandstillCommand(app, "Unpause", Engine.Unpause, &cobra.Command{
		Use:   "unpause [options] CONTAINER [CONTAINER...]",
		Short: "Let the machines of paused containers go on",
		Long:  "Lets the machines of paused containers go on where they stood. Their clocks are set first.",
		Example: `  vpod unpause web
  vpod unpause --all`,
	})
}

// newStandstillCommand gives cmd what pause and unpause have in common; verb begins
// the help of its options.
func newStandstillCommand(app *App, verb string, act func(Engine, context.Context, engine.Selection) []engine.Result, cmd *cobra.Command) *cobra.Command {
	var opts selectionFlags
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return app.onSelected(cmd.Context(), &opts, args, ownFailure, func(eng Engine, sel engine.Selection) []engine.Result {
			return act(eng, cmd.Context(), sel)
		})
	}
	cmd.ValidArgsFunction = app.containerWords(container.Running)
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags(), verb, selectAll|selectLatest|selectFilter|selectCIDFile|shortAll|shortFilter)
		opts.completeFlags(app, cmd)
	})
	return cmd
}
