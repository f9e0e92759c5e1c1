package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// imageRemover is what rmi needs of the engine.
type imageRemover interface {
	RemoveImages(ctx context.Context, names []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error)
}

type rmiFlags struct {
	all     bool
	force   bool
	ignore  bool
	noPrune bool
}

func (f *rmiFlags) addFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.all, "all", "a", false, "Remove all images")
	flags.BoolVarP(&f.force, "force", "f", false, "Remove containers that use the images first, and all names of an image")
	flags.BoolVarP(&f.ignore, "ignore", "i", false, "Pass over images that do not exist")
	flags.BoolVar(&f.noPrune, "no-prune", false, "Keep images without a name that the removed ones were built on")
}

func newRmiCommand(app *App, name string) *cobra.Command {
	var opts rmiFlags
	cmd := withStore(&cobra.Command{
		Use:   name + " [options] IMAGE [IMAGE...]",
		Short: "Remove images from the local store",
		Long:  "Takes names from images, and deletes those that have none left, with the disks made from them.",
		Example: `  vpod rmi alpine
  vpod rmi --force c4dfb1609ee2
  vpod rmi --all`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.rmi(cmd.Context(), opts, args)
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
	})
	return cmd
}

func (app *App) rmi(ctx context.Context, f rmiFlags, names []string) error {
	switch {
	case f.all && len(names) > 0:
		return errors.New("when using the --all switch, you may not pass any images names or IDs")
	case !f.all && len(names) == 0:
		return errors.New("image name or ID must be specified")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	removed, err := eng.RemoveImages(ctx, names, engine.RemoveImagesOptions{Force: f.force, All: f.all, Ignore: f.ignore || f.force, NoPrune: f.noPrune})
	app.showRemoved(removed)
	return app.printErrors(ctx, joined(err), removalCode)
}

// showRemoved prints the names and images that are gone.
func (app *App) showRemoved(removed []engine.ImageRemoved) {
	for _, r := range removed {
		for _, name := range r.Untagged {
			fmt.Fprintln(app.Stdout, "Untagged:", name)
		}
		if r.Deleted {
			fmt.Fprintln(app.Stdout, "Deleted:", r.ID)
		}
	}
}

// joined takes apart what errors.Join put together. Other errors with several
// causes are one error: their text is more than that of the causes.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	var parts []error
	for _, e := range many.Unwrap() {
		texts = append(texts, e.Error())
		parts = append(parts, joined(e)...)
	}
	if strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	return parts
}
