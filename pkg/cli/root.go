package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// globalFlags are understood by every command.
type globalFlags struct {
	root    string
	runRoot string
	level   logLevel
}

func (f *globalFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.root, "root", "", "Keep vpod's data, and images, below this `directory`")
	flags.StringVar(&f.runRoot, "runroot", "", "Keep vpod's sockets below this `directory`")
	f.level = "warn"
	flags.Var(newChoice((*string)(&f.level), logLevels...), "log-level", "Log messages at and above this `level`: "+strings.Join(logLevels, ", "))
}

// needsStore marks commands that work on images: they enter the user namespace
// before anything else. The others never do, for it costs more than all the rest
// of a `ps`.
const needsStore = "vpod.needs-image-store"

// withStore marks cmd as working on images.
func withStore(cmd *cobra.Command) *cobra.Command {
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[needsStore] = "yes"
	return cmd
}

// newRootCommand returns the tree of all commands. It opens nothing.
func newRootCommand(app *App) *cobra.Command {
	root := &cobra.Command{
		Use:               "vpod [options]",
		Short:             "Run containers, each in a virtual machine of its own",
		Long:              "Runs OCI images in the manner of Podman, each container in its own QEMU virtual machine with its own kernel. There is no daemon, and root is not needed.",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cobra.ArbitraryArgs,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			app.setLogLevels()
			app.timing.record.Mark("read the options")
			if cmd.Annotations[needsStore] != "" {
				return app.enterStore()
			}
			return nil
		},
	}
	app.global.addFlags(root.PersistentFlags())
	root.Flags().BoolP("version", "v", false, "Print the version and exit")
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if v, _ := cmd.Flags().GetBool("version"); v && len(args) == 0 {
			_, err := fmt.Fprintf(app.Stdout, "vpod version %s\n", versionString(app.Version()))
			return err
		}
		return refuseUnknownCommand(cmd, args)
	}
	root.SetFlagErrorFunc(explainFlagError)
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(helpTemplate)
	root.AddCommand(topCommands(app)...)
	settle(root)
	return root
}

// settle sets what all commands have in common and cobra does not inherit.
func settle(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true // the lines say [options] where it belongs
	cmd.SuggestionsMinimumDistance = 2
	for _, sub := range cmd.Commands() {
		settle(sub)
	}
}

// topCommands are those the user types first.
func topCommands(app *App) []*cobra.Command {
	cmds := []*cobra.Command{
		newContainerCommand(app),
		newImageCommand(app),
		newImagesCommand(app),
		newDiffCommand(app),
		newInfoCommand(app),
		newInspectCommand(app),
		newLoginCommand(app),
		newLogoutCommand(app),
		newManifestCommand(app),
		newSystemCommand(app),
		newVersionCommand(app),
		newCompletionCommand(app),
		newOCICommand(app),
		newBuildxCommand(app),
		newMonitorCommand(app),
		newReleaseCommand(app),
	}
	cmds = append(cmds, containerVerbs(app)...)
	return append(cmds, imageVerbs(app)...)
}

// newGroup returns a command that only holds others.
func newGroup(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: refuseUnknownCommand}
	cmd.AddCommand(children...)
	return cmd
}

// refuseUnknownCommand is the body of commands that do nothing themselves.
func refuseUnknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		if err := cmd.Help(); err != nil {
			return err
		}
		return fmt.Errorf("missing command '%s COMMAND'", cmd.CommandPath())
	}
	msg := fmt.Sprintf("unrecognized command `%s %s`", cmd.CommandPath(), args[0])
	if r, ok := refusedVerb(args[0]); ok {
		return withHint(fmt.Errorf("%s: %s", msg, r.reason), r.hint)
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %s?", strings.Join(near, ", "))
	}
	return &usageError{err: errors.New(msg), command: cmd.CommandPath()}
}

// explainFlagError says why a flag is not taken: what Podman knows and vpod
// refuses has a reason.
func explainFlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if reason, ok := refusedFlag(cmd.Name(), unknown); ok {
			return reason
		}
	}
	return &usageError{err: err, command: cmd.CommandPath()}
}

// Help in Podman's layout.
const (
	helpTemplate = `{{.Short}}

{{with .Long}}Description:
  {{. | trimTrailingWhitespaces}}

{{end}}{{.UsageString}}`

	usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} [options] [command]{{else}}{{.UseLine}}{{end}}
{{- if .Aliases}}

Aliases:
  {{.NameAndAliases}}
{{- end}}
{{- if .HasExample}}

Examples:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}

Available Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}
{{- end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Options:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
`
)
