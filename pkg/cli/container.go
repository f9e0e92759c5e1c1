package cli

import "github.com/spf13/cobra"

// containerVerbs are the commands on containers that exist both at the top and
// below `vpod container`. Each call makes new ones: a command has one parent.
func containerVerbs(app *App) []*cobra.Command {
	return []*cobra.Command{
		newAttachCommand(app),
		newCommitCommand(app),
		newCreateCommand(app),
		newExecCommand(app),
		newExportCommand(app),
		newKillCommand(app),
		newPauseCommand(app),
		newPortCommand(app),
		newUnpauseCommand(app),
		newLogsCommand(app),
		newPsCommand(app, "ps"),
		newRestartCommand(app),
		newRmCommand(app),
		newRunCommand(app),
		newStartCommand(app),
		newStopCommand(app),
		newWaitCommand(app),
	}
}

// newContainerCommand is the long form of the verbs, and what has no short one.
func newContainerCommand(app *App) *cobra.Command {
	cmds := append(containerVerbs(app),
		newContainerDiffCommand(app),
		newContainerExistsCommand(app),
		newContainerInspectCommand(app),
		newPsCommand(app, "list", "ls"),
		newContainerPruneCommand(app),
	)
	return newGroup("container", "Manage containers", cmds...)
}
