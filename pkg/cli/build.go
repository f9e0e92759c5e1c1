package cli

import (
	"fmt"
	"strings"

	"github.com/containers/common/pkg/completion"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// builder is what build needs of the engine.
type builder interface {
	// Build becomes the program that builds, with its options, and returns only
	// with an error.
	Build(args []string) error
}

// newBuildCommand returns build under one of its names. The options are passed on
// as they are to the program that builds; they are read here for help, completion,
// and to refuse what there is not.
func newBuildCommand(app *App, use string, aliases ...string) *cobra.Command {
	cmd := withStore(&cobra.Command{
		Use:     use + " [options] [CONTEXT]",
		Aliases: aliases,
		Short:   "Build an image as a Containerfile says",
		Long:    "Builds an image as a Containerfile or Dockerfile says, each RUN step in a virtual machine. The context is a directory, an archive or git repository by its address, or an archive on standard input, which is -; unasked it is the working directory.",
		Example: `  vpod build -t localhost/web .
  vpod build --build-arg VERSION=3 --target test https://git.example.org/web.git
  tar -c . | vpod build -t localhost/web -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			asked, err := buildArgs(cmd.Flags(), args)
			if err != nil {
				return err
			}
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return eng.Build(asked)
		},
	})
	app.lazily(cmd, func() {
		addBuildFlags(cmd.Flags())
		for _, o := range buildOptions() {
			switch {
			case o.kind == boolOption:
			case strings.Contains(o.usage, "`file`") || o.name == "cert-dir":
				completeFlag(cmd, o.name, completion.AutocompleteDefault)
			case o.name == "arch":
				completeFlag(cmd, o.name, completion.AutocompleteArch)
			case o.name == "os":
				completeFlag(cmd, o.name, completion.AutocompleteOS)
			default:
				completeFlag(cmd, o.name, noWords)
			}
		}
	})
	return cmd
}

// newBuildxCommand is Docker's name for build.
func newBuildxCommand(app *App) *cobra.Command {
	cmd := newGroup("buildx", "Build images, as Docker calls it", newBuildCommand(app, "build", "b"))
	cmd.Long = "Holds build under the name that Docker gives it."
	return cmd
}

// optionKind is what follows an option.
type optionKind int

const (
	stringOption optionKind = iota
	listOption              // may be given several times
	boolOption
	numberOption
)

// buildOption is one option of build. What it means is the build library's affair.
type buildOption struct {
	name, short string
	kind        optionKind
	unasked     string // as help shows it
	usage       string
}

func addBuildFlags(f *pflag.FlagSet) {
	for _, o := range buildOptions() {
		switch o.kind {
		case boolOption:
			f.BoolP(o.name, o.short, o.unasked == "true", o.usage)
		case listOption:
			f.StringArrayP(o.name, o.short, nil, o.usage)
		case numberOption:
			f.Int64P(o.name, o.short, 0, o.usage)
		default:
			f.StringP(o.name, o.short, o.unasked, o.usage)
		}
	}
	f.Lookup("pull").NoOptDefVal = "always"
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "net" {
			name = "network"
		}
		return pflag.NormalizedName(name)
	})
}

// buildArgs is the command line for the program that builds.
func buildArgs(f *pflag.FlagSet, context []string) ([]string, error) {
	var args []string
	squash, _ := f.GetBool("squash")
	all, _ := f.GetBool("squash-all")
	if squash && all {
		return nil, fmt.Errorf("--squash and --squash-all cannot be used together")
	}
	if (squash || all) && !f.Changed("layers") {
		args = append(args, "--layers=false") // Podman's squash: one layer of all that is new
	}
	if all {
		args = append(args, "--squash=true")
	}
	f.Visit(func(flag *pflag.Flag) {
		switch flag.Name {
		case "squash", "squash-all", "help", "root", "runroot", "log-level":
			return
		}
		list, ok := flag.Value.(pflag.SliceValue)
		if !ok {
			args = append(args, "--"+flag.Name+"="+flag.Value.String())
			return
		}
		for _, value := range list.GetSlice() {
			args = append(args, "--"+flag.Name+"="+value)
		}
	})
	return append(append(args, "--"), context...), nil
}
