package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// remover is what rm needs of the engine.
type remover interface {
	Remove(ctx context.Context, sel engine.Selection, opts engine.RemoveOptions) []engine.Result
}

type rmFlags struct {
	selectionFlags
	timeoutFlag
	force   bool
	volumes bool
}

func (f *rmFlags) addFlags(flags *pflag.FlagSet) {
	f.selectionFlags.addFlags(flags, "Remove", selectAll|selectLatest|selectFilter|selectCIDFile|selectIgnore|shortAll)
	f.timeoutFlag.addFlags(flags)
	flags.BoolVarP(&f.force, "force", "f", false, "Stop containers that run first, and pass over those that do not exist")
	flags.BoolVarP(&f.volumes, "volumes", "v", false, "Remove anonymous volumes, too; they live on the container's disk and always go with it")
}

func newRmCommand(app *App) *cobra.Command {
	var opts rmFlags
	cmd := &cobra.Command{
		Use:   "rm [options] CONTAINER [CONTAINER...]",
		Short: "Remove one or more containers",
		Long:  "Removes containers with their disks and logs. Images stay.",
		Example: `  vpod rm web
  vpod rm --force --time 0 web
  vpod rm --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.rm(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.selectionFlags.completeFlags(app, cmd)
	})
	return cmd
}

func (app *App) rm(ctx context.Context, f *rmFlags, args []string) error {
	return app.onSelected(ctx, &f.selectionFlags, args, removalCode, func(eng Engine, sel engine.Selection) []engine.Result {
		sel.Ignore = sel.Ignore || f.force
		return eng.Remove(ctx, sel, engine.RemoveOptions{Force: f.force, TimeoutSeconds: f.timeoutFlag.get(), Volumes: f.volumes})
	})
}
