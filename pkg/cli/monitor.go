package cli

import (
	"context"

	"github.com/spf13/cobra"

	"vpod/pkg/timing"
)

// releaser is what release needs of the engine.
type releaser interface {
	Release(ctx context.Context, id string) error
}

// newMonitorCommand is what vpod starts for each running machine; see
// ARCHITECTURE.md. It is not for people.
func newMonitorCommand(app *App) *cobra.Command {
	return &cobra.Command{
		Use:    "monitor LAUNCHFILE",
		Short:  "Supervise a machine (used by vpod itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.RunMonitor(cmd.Context(), args[0], app.newRecord(timing.Monitor))
		},
	}
}

// newReleaseCommand is what a monitor starts when its container has ended and
// nobody is left to clean up.
func newReleaseCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:    "release CONTAINER",
		Short:  "Clean up after a container that has ended (used by vpod itself)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return eng.Release(cmd.Context(), args[0])
		},
	})
}
