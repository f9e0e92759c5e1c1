package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// restarter is what restart needs of the engine.
type restarter interface {
	Restart(ctx context.Context, sel engine.Selection, opts engine.StopOptions, runningOnly bool) []engine.Result
}

type restartFlags struct {
	selectionFlags
	timeoutFlag
	running bool
}

func newRestartCommand(app *App) *cobra.Command {
	var opts restartFlags
	cmd := &cobra.Command{
		Use:   "restart [options] CONTAINER [CONTAINER...]",
		Short: "Restart one or more containers",
		Long:  "Stops the containers that run, and starts all that are named. Each gets a new machine; what is on its disk stays.",
		Example: `  vpod restart web
  vpod restart --running`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.restart(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() {
		opts.selectionFlags.addFlags(cmd.Flags(), "Restart", selectAll|selectLatest|selectFilter|selectCIDFile|selectIgnore|shortAll|shortFilter)
		opts.timeoutFlag.addFlags(cmd.Flags())
		cmd.Flags().BoolVar(&opts.running, "running", false, "Restart only containers that run")
		opts.selectionFlags.completeFlags(app, cmd)
	})
	return cmd
}

func (app *App) restart(ctx context.Context, f *restartFlags, args []string) error {
	if f.running && len(args) == 0 && len(f.cidFiles) == 0 && len(f.filters) == 0 && !f.latest {
		f.all = true // --running alone names all that run
	}
	return app.onSelected(ctx, &f.selectionFlags, args, ownFailure, func(eng Engine, sel engine.Selection) []engine.Result {
		return eng.Restart(ctx, sel, engine.StopOptions{TimeoutSeconds: f.timeoutFlag.get()}, f.running)
	})
}
