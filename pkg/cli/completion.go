package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// shells are those that completion scripts are made for.
func shells() []string { return []string{"bash", "zsh", "fish"} }

func newCompletionCommand(app *App) *cobra.Command {
	var file string
	var noDesc bool
	cmd := &cobra.Command{
		Use:   "completion [options] {bash|zsh|fish}",
		Short: "Write the completion script of a shell",
		Long:  "Prints a script that teaches the shell to complete vpod's commands, options, containers and images. `make install` puts it in place.",
		Example: `  source <(vpod completion bash)
  vpod completion --file ~/.config/fish/completions/vpod.fish fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells(),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			out := app.Stdout
			if file != "" {
				f, err := os.Create(file)
				if err != nil {
					return fmt.Errorf("--file: %w", err)
				}
				defer func() {
					if closeErr := f.Close(); err == nil {
						err = closeErr
					}
				}()
				out = f
			}
			return writeCompletion(cmd.Root(), out, args[0], !noDesc)
		},
	}
	app.lazily(cmd, func() {
		cmd.Flags().StringVarP(&file, "file", "f", "", "Write to this `file` in place of standard output")
		cmd.Flags().BoolVar(&noDesc, "no-desc", false, "Write a script that shows no descriptions")
	})
	return cmd
}

// writeCompletion writes the script of a shell for the tree of commands.
func writeCompletion(root *cobra.Command, w io.Writer, shell string, descriptions bool) error {
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(w, descriptions)
	case "zsh":
		if descriptions {
			err = root.GenZshCompletion(w)
		} else {
			err = root.GenZshCompletionNoDesc(w)
		}
	case "fish":
		err = root.GenFishCompletion(w, descriptions)
	default:
		return fmt.Errorf("no completion for shell %q", shell)
	}
	if err != nil {
		return fmt.Errorf("write the completion script for %s: %w", shell, err)
	}
	return nil
}
