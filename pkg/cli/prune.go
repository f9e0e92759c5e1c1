package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// confirm asks before something is lost for good. Without an answer it is an
// error: a script says --force.
func (app *App) confirm(ctx context.Context, warning string) (bool, error) {
	fmt.Fprintf(app.Stderr, "WARNING! %s\nAre you sure you want to continue? [y/N] ", warning)
	answer, err := bufio.NewReader(app.input(ctx)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(app.Stderr)
		return false, context.Cause(ctx)
	case err != nil && answer == "":
		fmt.Fprintln(app.Stderr)
		return false, withHint(errors.New("nobody answered"), "give --force to go on without being asked")
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}

type pruneFlags struct {
	force   bool
	filters []string
}

func (f *pruneFlags) addFlags(cmd *cobra.Command, what string) {
	cmd.Flags().BoolVarP(&f.force, "force", "f", false, "Do not ask for confirmation")
	cmd.Flags().StringArrayVar(&f.filters, "filter", nil, "Remove only the "+what+" this `condition` holds for, as until=24h or label=KEY")
	completeFlag(cmd, "filter", keyWords("label=", "until="))
}

func newContainerPruneCommand(app *App) *cobra.Command {
	var opts pruneFlags
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove all containers that do not run",
		Long:    "Removes every container that was created and never started, or has ended, with its disk and log.",
		Example: `  vpod container prune --force --filter until=24h`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.pruneContainers(cmd.Context(), opts)
		},
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd, "containers")
	})
	return cmd
}

func (app *App) pruneContainers(ctx context.Context, f pruneFlags) error {
	if !f.force {
		if yes, err := app.confirm(ctx, "This will remove all containers that do not run."); err != nil || !yes {
			return err
		}
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	stopped, err := stoppedContainers(ctx, eng, engine.ListOptions{All: true, Filters: f.filters})
	if err != nil || len(stopped) == 0 {
		return err
	}
	return app.finish(ctx, removeContainers(ctx, eng, stopped), removalCode)
}

// stoppedContainers are those of a list that do not run.
func stoppedContainers(ctx context.Context, eng lister, opts engine.ListOptions) ([]engine.Listed, error) {
	list, err := eng.List(ctx, opts)
	if err != nil {
		return nil, err
	}
	var stopped []engine.Listed
	for _, c := range list {
		if c.Live.State == "" && !c.Record.State.Live() {
			stopped = append(stopped, c)
		}
	}
	return stopped, nil
}

// removeContainers removes containers; another command may be faster.
func removeContainers(ctx context.Context, eng remover, list []engine.Listed) []engine.Result {
	sel := engine.Selection{Ignore: true}
	for _, c := range list {
		sel.Names = append(sel.Names, c.Spec.ID)
	}
	return eng.Remove(ctx, sel, engine.RemoveOptions{Volumes: true})
}

type imagePruneFlags struct {
	pruneFlags
	all      bool
	external bool
}

func (f *imagePruneFlags) addFlags(cmd *cobra.Command, what string) {
	f.pruneFlags.addFlags(cmd, what)
	cmd.Flags().BoolVarP(&f.all, "all", "a", false, "Remove all images that no container uses, not only those without a name")
	cmd.Flags().BoolVar(&f.external, "external", false, "Remove also images that only containers of builds use, with these containers")
}

func newImagePruneCommand(app *App) *cobra.Command {
	var opts imagePruneFlags
	cmd := withStore(&cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove unused images",
		Long:    "Removes the images that have no name and that no container uses, with the disks made from them.",
		Example: `  vpod image prune --all --force`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return app.pruneImages(cmd.Context(), opts)
		},
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd, "images")
	})
	return cmd
}

func (app *App) pruneImages(ctx context.Context, f imagePruneFlags) error {
	what := "images without a name"
	if f.all {
		what = "images that no container uses"
	}
	if !f.force {
		if yes, err := app.confirm(ctx, "This will remove all "+what+"."); err != nil || !yes {
			return err
		}
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	list, err := unusedImages(ctx, eng, f)
	if err != nil {
		return err
	}
	removed, errs := removeImages(ctx, eng, list, f)
	for _, r := range removed {
		fmt.Fprintln(app.Stdout, r.ID)
	}
	return app.printErrors(ctx, errs, ownFailure)
}

// unusedImages are those a prune removes.
func unusedImages(ctx context.Context, eng imageLister, f imagePruneFlags) ([]engine.ImageSummary, error) {
	filters := f.filters
	if !f.all {
		filters = append([]string{"dangling=true"}, filters...)
	}
	usage := "containers=false"
	if f.external {
		usage = "containers=external" // what other tools than Buildah use is found out when it is removed
	}
	return eng.Images(ctx, "", append(filters, usage, "readonly=false"), false)
}

// removeImages removes images that were unused a moment ago and returns those that
// are gone. One by one: an image that a container took meanwhile is no error, and
// all its names go with an unused one.
func removeImages(ctx context.Context, eng imageRemover, list []engine.ImageSummary, f imagePruneFlags) (gone []engine.ImageRemoved, errs []error) {
	for _, img := range list {
		for _, name := range namesOrID(img) {
			removed, err := eng.RemoveImages(ctx, []string{name}, engine.RemoveImagesOptions{Ignore: true, BuildContainers: f.external})
			if err != nil && !errors.Is(err, engine.ErrImageInUse) {
				errs = append(errs, err)
			}
			gone = append(gone, slices.DeleteFunc(removed, func(r engine.ImageRemoved) bool { return !r.Deleted })...)
		}
	}
	return gone, errs
}

// namesOrID are all the words that remove an image without force.
func namesOrID(img engine.ImageSummary) []string {
	if len(img.Names) == 0 {
		return []string{img.ID}
	}
	return img.Names
}
