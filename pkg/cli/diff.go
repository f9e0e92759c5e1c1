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

// differ is what diff needs of the engine.
type differ interface {
	Diff(ctx context.Context, container string) ([]engine.Change, error)
	DiffImage(ctx context.Context, name, other string) ([]engine.Change, error)
}

type diffFlags struct {
	format string
	latest bool
}

func (f *diffFlags) addFlags(flags *pflag.FlagSet, images bool) {
	flags.Var(newChoice(&f.format, "json"), "format", "Print in this `form`: json")
	if !images {
		flags.BoolVarP(&f.latest, "latest", "l", false, "Take the container that was created last")
	}
}

func newDiffCommand(app *App) *cobra.Command {
	return app.diffCommand(&cobra.Command{
		Use:   "diff [options] CONTAINER|IMAGE [IMAGE]",
		Short: "List what a container or an image changes",
		Long:  "Lists the files that a container, running or not, has changed (C), added (A) and deleted (D) of its image; or an image of the layers below its last one, or of another image. A name is looked up among the containers first.",
		Example: `  vpod diff web
  vpod diff --format json web
  vpod diff alpine:3.20 alpine:3.19`,
		ValidArgsFunction: app.containerWords(),
	}, false, func(ctx context.Context, f diffFlags, args []string) ([]engine.Change, error) {
		changes, err := app.diffContainer(ctx, f, args)
		if f.latest || !errors.Is(err, engine.ErrNoContainer) {
			return changes, err
		}
		changes, imageErr := app.diffImage(ctx, args)
		if errors.Is(imageErr, engine.ErrNoImage) {
			return nil, withHint(fmt.Errorf("%s: there is no such container or image", args[0]), "`vpod ps --all` lists the containers there are, `vpod images` the images")
		}
		return changes, imageErr
	})
}

func newContainerDiffCommand(app *App) *cobra.Command {
	return app.diffCommand(&cobra.Command{
		Use:               "diff [options] CONTAINER",
		Short:             "List what a container or an image changes",
		Long:              "Lists the files that a container, running or not, has changed (C), added (A) and deleted (D).",
		Example:           `  vpod container diff web`,
		ValidArgsFunction: app.containerWords(),
	}, false, app.diffContainer)
}

func newImageDiffCommand(app *App) *cobra.Command {
	return app.diffCommand(&cobra.Command{
		Use:               "diff [options] IMAGE [IMAGE]",
		Short:             "List what a container or an image changes",
		Long:              "Lists the files that the last layer of an image changes (C), adds (A) and deletes (D), or all its layers in comparison with another image.",
		Example:           `  vpod image diff alpine:3.20 alpine:3.19`,
		ValidArgsFunction: app.imageWords,
	}, true, func(ctx context.Context, _ diffFlags, args []string) ([]engine.Change, error) {
		return app.diffImage(ctx, args)
	})
}

// diffCommand completes a command that prints what list finds.
func (app *App) diffCommand(cmd *cobra.Command, images bool, list func(context.Context, diffFlags, []string) ([]engine.Change, error)) *cobra.Command {
	var opts diffFlags
	cmd.Args = cobra.MaximumNArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case opts.latest && len(args) > 0:
			return errors.New("--latest and names cannot be used together")
		case !opts.latest && len(args) == 0:
			return errors.New("name what is to be compared")
		}
		changes, err := list(cmd.Context(), opts, args)
		if err != nil {
			return err
		}
		return app.printChanges(opts, changes)
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags(), images)
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

func (app *App) diffImage(ctx context.Context, args []string) ([]engine.Change, error) {
	eng, err := app.engine()
	if err != nil {
		return nil, err
	}
	return eng.DiffImage(ctx, args[0], strings.Join(args[1:], ""))
}

func (app *App) diffContainer(ctx context.Context, f diffFlags, args []string) ([]engine.Change, error) {
	eng, err := app.engine()
	if err != nil {
		return nil, err
	}
	if f.latest {
		last, err := eng.List(ctx, engine.ListOptions{Latest: true})
		if err != nil {
			return nil, err
		}
		if len(last) == 0 {
			return nil, errors.New("there is no container: --latest has nothing to name")
		}
		args = []string{last[0].Spec.ID}
	}
	if len(args) > 1 {
		// Looked at first, so that two images are not taken for a container and one.
		if _, err := eng.Get(ctx, args[0]); err != nil {
			return nil, err
		}
		return nil, withHint(errors.New("a container is compared with its own image only"), "name the container alone")
	}
	return eng.Diff(ctx, args[0])
}

func (app *App) printChanges(f diffFlags, changes []engine.Change) error {
	if f.format == "json" {
		return writeJSON(app.Stdout, changesJSON(changes))
	}
	for _, c := range changes {
		// A name may hold a line's end, which must not make two lines of one.
		if _, err := fmt.Fprintf(app.Stdout, "%c %s\n", c.Kind, onOneLine(c.Path)); err != nil {
			return err
		}
	}
	return nil
}

// onOneLine makes a file's name fit to be printed on a line of its own.
func onOneLine(name string) string {
	return printable(strings.NewReplacer("\n", "\uFFFD", "\t", "\uFFFD", "\r", "\uFFFD").Replace(name))
}

// changedPaths are Podman's names.
type changedPaths struct {
	Changed []string `json:"changed,omitempty"`
	Added   []string `json:"added,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
}

func changesJSON(changes []engine.Change) changedPaths {
	var p changedPaths
	for _, c := range changes {
		switch c.Kind {
		case engine.ChangeAdded:
			p.Added = append(p.Added, c.Path)
		case engine.ChangeDeleted:
			p.Deleted = append(p.Deleted, c.Path)
		default:
			p.Changed = append(p.Changed, c.Path)
		}
	}
	return p
}
