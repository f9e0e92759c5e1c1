package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// Options are added to the command that is chosen, and to no other: with all of
// them the tree takes two milliseconds to build, a fifth of what a whole `ps`
// may take.

// lazily notes how cmd gets its options.
func (app *App) lazily(cmd *cobra.Command, addOptions func()) {
	if app.unprepared == nil {
		app.unprepared = map[*cobra.Command]func(){}
	}
	app.unprepared[cmd] = addOptions
}

// prepare adds the options of the command that args choose; of all of them where
// the shell asks for completions or the user for help on some command, for these
// look at others than the one they name first.
func (app *App) prepare(root *cobra.Command, args []string) {
	completes := func(arg string) bool {
		return arg == cobra.ShellCompRequestCmd || arg == cobra.ShellCompNoDescRequestCmd
	}
	if slices.ContainsFunc(args, completes) || len(args) > 0 && args[0] == "help" {
		app.prepareAll(root)
		return
	}
	chosen, _, err := root.Find(args)
	if err != nil {
		chosen = root
	}
	app.prepareOne(chosen)
}

// prepareAll adds the options of cmd and of all commands below it.
func (app *App) prepareAll(cmd *cobra.Command) {
	app.prepareOne(cmd)
	for _, sub := range cmd.Commands() {
		app.prepareAll(sub)
	}
}

func (app *App) prepareOne(cmd *cobra.Command) {
	if addOptions := app.unprepared[cmd]; addOptions != nil {
		delete(app.unprepared, cmd)
		addOptions()
	}
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Usage = "Show this help and exit"
}

// newWholeTree returns the tree with the options of all commands, for what looks
// at all of them.
func newWholeTree(app *App) *cobra.Command {
	root := newRootCommand(app)
	app.prepareAll(root)
	return root
}
