package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Description is what a command says of itself, for man pages and their tests.
type Description struct {
	Path    string   // as "vpod container run"
	Aliases []string // other last words, as "ls"
	Usage   string   // as "vpod run [options] IMAGE [COMMAND [ARG...]]"
	Short   string
	Group   bool // it only holds other commands
	Flags   []FlagDescription
}

// FlagDescription is one option of a command. Those of every command belong to
// the root.
type FlagDescription struct {
	Name, Short string // without dashes
	Value       string // what it takes, as "file"; "" is a switch
}

// Describe lists all commands a user sees, each group before its members.
func Describe() []Description {
	var out []Description
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		out = append(out, describe(cmd))
		for _, sub := range cmd.Commands() {
			if !sub.Hidden && sub.Name() != "help" {
				walk(sub)
			}
		}
	}
	walk(newWholeTree(NewApp([]string{"vpod"})))
	return out
}

func describe(cmd *cobra.Command) Description {
	d := Description{
		Path:    cmd.CommandPath(),
		Aliases: cmd.Aliases,
		Usage:   cmd.UseLine(),
		Short:   cmd.Short,
		Group:   cmd.HasSubCommands() && cmd.HasParent(),
	}
	if cmd.HasSubCommands() {
		d.Usage = cmd.CommandPath() + " [options] command"
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		value, _ := pflag.UnquoteUsage(f)
		if f.Value.Type() == "bool" {
			value = ""
		}
		d.Flags = append(d.Flags, FlagDescription{Name: f.Name, Short: f.Shorthand, Value: strings.TrimSpace(value)})
	})
	return d
}

// GenerateCompletion writes the completion script of a shell: bash, zsh or fish.
func GenerateCompletion(w io.Writer, shell string) error {
	return writeCompletion(newRootCommand(NewApp([]string{"vpod"})), w, shell, true)
}

// Shells lists the shells that GenerateCompletion knows.
func Shells() []string { return shells() }
