package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// killer is what kill needs of the engine.
type killer interface {
	Kill(ctx context.Context, sel engine.Selection, signal int) []engine.Result
}

type killFlags struct {
	selectionFlags
	signal string
}

func newKillCommand(app *App) *cobra.Command {
	var opts killFlags
	cmd := &cobra.Command{
		Use:   "kill [options] CONTAINER [CONTAINER...]",
		Short: "Send a signal to one or more containers",
		Long:  "Sends SIGKILL, or the signal of --signal, to the commands of running containers.",
		Example: `  vpod kill web
  vpod kill --signal HUP web`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.kill(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(stoppable...),
	}
	app.lazily(cmd, func() {
		opts.selectionFlags.addFlags(cmd.Flags(), "Signal", selectAll|selectLatest|selectFilter|selectCIDFile|selectIgnore|shortAll|shortFilter)
		cmd.Flags().StringVarP(&opts.signal, "signal", "s", "KILL", "Send this `signal`, a name or number")
		opts.selectionFlags.completeFlags(app, cmd)
		completeFlag(cmd, "signal", signalWords)
	})
	return cmd
}

func (app *App) kill(ctx context.Context, f *killFlags, args []string) error {
	signal, err := parseSignal("--signal", f.signal)
	if err != nil {
		return err
	}
	return app.onSelected(ctx, &f.selectionFlags, args, ownFailure, func(eng Engine, sel engine.Selection) []engine.Result {
		return eng.Kill(ctx, sel, signal)
	})
}
