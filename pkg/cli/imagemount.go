package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// imageMounter is what image mount and unmount need of the engine.
type imageMounter interface {
	MountImages(ctx context.Context, names []string, all bool) ([]engine.MountedImage, error)
	MountedImages(ctx context.Context) ([]engine.MountedImage, error)
	UnmountImages(ctx context.Context, names []string, all, force bool) ([]string, error)
}

// The commands do not enter the user namespace: a mount made in one of their own
// would end with them.

func newImageMountCommand(app *App) *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use:   "mount [options] [IMAGE...]",
		Short: "Mount images, or list those that are mounted",
		Long:  "Makes the files of images readable on the host, and prints where; without a name, lists the images that are mounted. An ordinary user runs it below `podman unshare`.",
		Example: `  vpod image mount alpine
  podman unshare sh -c 'ls $(vpod image mount alpine); vpod image unmount alpine'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.mountImages(cmd.Context(), args, all, format)
		},
		ValidArgsFunction: app.imageWords,
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&all, "all", "a", false, "Mount all images")
		cmd.Flags().Var(newChoice(&format, "json"), "format", "Print in this `format`: json")
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

// mountEntry is a mounted image as --format json prints it; the keys are Podman's.
type mountEntry struct {
	ID           string `json:"id"`
	Names        []string
	Repositories []string
	Mountpoint   string `json:"mountpoint"`
}

func (app *App) mountImages(ctx context.Context, names []string, all bool, format string) error {
	if all && len(names) > 0 {
		return errors.New("when using the --all switch, you may not pass any image names or IDs")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	var mounted []engine.MountedImage
	if all || len(names) > 0 {
		mounted, err = eng.MountImages(ctx, names, all)
	} else {
		mounted, err = eng.MountedImages(ctx)
	}
	if err != nil {
		return err
	}
	if format == "json" {
		entries := make([]mountEntry, 0, len(mounted))
		for _, m := range mounted {
			entries = append(entries, mountEntry{ID: m.ID, Names: m.Names, Repositories: m.Names, Mountpoint: m.Path})
		}
		return writeJSON(app.Stdout, entries)
	}
	if len(names) == 1 {
		_, err := fmt.Fprintln(app.Stdout, mounted[0].Path)
		return err
	}
	rows := make([]mountRow, 0, len(mounted))
	for _, m := range mounted {
		row := mountRow{ID: m.ID, Path: m.Path}
		if len(m.Names) > 0 {
			row.ID = m.Names[0]
		}
		rows = append(rows, row)
	}
	t := table{name: "mounts", columns: "{{range .}}{{.ID}}\t{{.Path}}\n{{end -}}", noHeading: true}
	return t.write(app.Stdout, rows, mountRow{})
}

// mountRow is a line of the list of mounted images.
type mountRow struct {
	ID   string // name, or id when it has none
	Path string
}

func newImageUnmountCommand(app *App) *cobra.Command {
	var all, force bool
	cmd := &cobra.Command{
		Use:     "unmount [options] IMAGE [IMAGE...]",
		Aliases: []string{"umount"},
		Short:   "Unmount images",
		Long:    "Undoes one mount of each image, and prints the ids of those that were mounted. An image that was mounted several times stays so until the last is undone. An ordinary user runs it below `podman unshare`.",
		Example: `  vpod image unmount alpine
  vpod image unmount --all --force`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case all && len(args) > 0:
				return errors.New("when using the --all switch, you may not pass any image names or IDs")
			case !all && len(args) == 0:
				return errors.New("image name or ID must be specified")
			}
			eng, err := app.engine()
			if err != nil {
				return err
			}
			ids, err := eng.UnmountImages(cmd.Context(), args, all, force)
			for _, id := range ids {
				fmt.Fprintln(app.Stdout, id)
			}
			return app.printErrors(cmd.Context(), joined(err), ownFailure)
		},
		ValidArgsFunction: app.imageWords,
	}
	app.lazily(cmd, func() {
		cmd.Flags().BoolVarP(&all, "all", "a", false, "Unmount all images")
		cmd.Flags().BoolVarP(&force, "force", "f", false, "Undo all mounts of the images")
	})
	return cmd
}
