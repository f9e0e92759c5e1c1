package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// stopper is what stop needs of the engine.
type stopper interface {
	Stop(ctx context.Context, sel engine.Selection, opts engine.StopOptions) []engine.Result
}

type stopFlags struct {
	selectionFlags
	timeoutFlag
}

func newStopCommand(app *App) *cobra.Command {
	var opts stopFlags
	cmd := &cobra.Command{
		Use:   "stop [options] CONTAINER [CONTAINER...]",
		Short: "Stop one or more containers",
		Long:  "Sends the stop signal to the containers' commands, and SIGKILL to those that have not ended in time. Their machines end with them.",
		Example: `  vpod stop web
  vpod stop --time 2 web db
  vpod stop --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.stop(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(stoppable...),
	}
	app.lazily(cmd, func() {
		opts.selectionFlags.addFlags(cmd.Flags(), "Stop", selectAll|selectLatest|selectFilter|selectCIDFile|selectIgnore|shortAll|shortFilter)
		opts.timeoutFlag.addFlags(cmd.Flags())
		opts.selectionFlags.completeFlags(app, cmd)
	})
	return cmd
}

func (app *App) stop(ctx context.Context, f *stopFlags, args []string) error {
	return app.onSelected(ctx, &f.selectionFlags, args, ownFailure, func(eng Engine, sel engine.Selection) []engine.Result {
		return eng.Stop(ctx, sel, engine.StopOptions{TimeoutSeconds: f.timeoutFlag.get()})
	})
}
