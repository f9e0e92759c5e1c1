package cli

import "github.com/spf13/cobra"

// imageVerbs are the commands on images that exist both at the top and below
// `vpod image`.
func imageVerbs(app *App) []*cobra.Command {
	return []*cobra.Command{
		newBuildCommand(app, "build", "bud"),
		newHistoryCommand(app),
		newImportCommand(app),
		newLoadCommand(app),
		newPullCommand(app),
		newPushCommand(app),
		newSaveCommand(app),
		newSearchCommand(app),
		newTagCommand(app),
		newUntagCommand(app),
		newRmiCommand(app, "rmi"),
	}
}

// newImageCommand is the long form of the verbs, and what has no short one.
func newImageCommand(app *App) *cobra.Command {
	return newGroup("image", "Manage images",
		newBuildCommand(app, "build", "bud"),
		newImageDiffCommand(app),
		newImageCopyCommand(app),
		newImageExistsCommand(app),
		newHistoryCommand(app),
		newImportCommand(app),
		newImageInspectCommand(app),
		newImageListCommand(app, "list", "ls"),
		newLoadCommand(app),
		newImageMountCommand(app),
		newImagePruneCommand(app),
		newPullCommand(app),
		newPushCommand(app),
		newRmiCommand(app, "rm"),
		newSaveCommand(app),
		newSearchCommand(app),
		newImageSignCommand(app),
		newImageSyncCommand(app),
		newTagCommand(app),
		newImageScpCommand(app),
		newImageTreeCommand(app),
		newImageUnmountCommand(app),
		newImageTrustCommand(app),
		newUntagCommand(app),
	)
}
