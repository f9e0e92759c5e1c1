package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vpod/pkg/engine"
)

// listEditor is what the commands of `vpod manifest` need of the
// engine.
type listEditor interface {
	CreateList(ctx context.Context, name string, opts engine.CreateListOptions) (string, error)
	AddToList(ctx context.Context, name string, images []string, opts engine.AddToListOptions) (string, error)
	DescribeInList(ctx context.Context, name, image string, entry engine.ListEntry) (string, error)
	RemoveFromList(ctx context.Context, name, image string) (string, error)
	ListExists(ctx context.Context, name string) (bool, error)
	InspectList(ctx context.Context, name string, access engine.RegistryAccess) (json.RawMessage, error)
}

// newManifestCommand holds the commands on lists of images for several platforms.
func newManifestCommand(app *App) *cobra.Command {
	return newGroup("manifest", "Manage lists of images for several platforms",
		newManifestAddCommand(app),
		newManifestAnnotateCommand(app),
		newManifestCreateCommand(app),
		newManifestExistsCommand(app),
		newManifestInspectCommand(app),
		newManifestPushCommand(app),
		newManifestRemoveCommand(app),
		newManifestRmCommand(app),
	)
}

func newManifestCreateCommand(app *App) *cobra.Command {
	var opts engine.CreateListOptions
	var registry registryFlags
	cmd := withStore(&cobra.Command{
		Use:   "create [options] LIST [IMAGE...]",
		Short: "Make a manifest list",
		Long:  "Makes a list of images for several platforms in the local store, with the images that are named, and prints its id.",
		Example: `  vpod manifest create mylist
  vpod manifest create mylist localhost/app:amd64 localhost/app:arm64`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if opts.Access, err = registry.get(); err != nil {
				return err
			}
			opts.Images = args[1:]
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return app.printID(eng.CreateList(cmd.Context(), args[0], opts))
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		registry.addFlags(cmd.Flags())
		cmd.Flags().BoolVar(&opts.All, "all", false, "Add all images of those that are lists themselves")
		cmd.Flags().BoolVarP(&opts.Amend, "amend", "a", false, "Add to the list if there is one by that name")
	})
	return cmd
}

// printID prints the id that a command made or changed.
func (app *App) printID(id string, err error) error {
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(app.Stdout, id)
	return err
}

func newManifestExistsCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:     "exists LIST",
		Short:   "Check whether a manifest list exists",
		Long:    "Ends with 0 when there is a manifest list of this name in the local store, and with 1 when there is none. Nothing is printed.",
		Example: `  vpod manifest exists mylist || vpod manifest create mylist`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			found, err := eng.ListExists(cmd.Context(), args[0])
			if err != nil || found {
				return err
			}
			return exitWith(codeNotFound)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
}

func newManifestInspectCommand(app *App) *cobra.Command {
	var registry registryFlags
	cmd := withStore(&cobra.Command{
		Use:     "inspect [options] IMAGE",
		Short:   "Show a manifest list",
		Long:    "Prints a manifest list of the local store or, when there is none by that name, the manifest a registry has for it.",
		Example: `  vpod manifest inspect mylist`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			access, err := registry.get()
			if err != nil {
				return err
			}
			eng, err := app.engine()
			if err != nil {
				return err
			}
			raw, err := eng.InspectList(cmd.Context(), args[0], access)
			if err != nil {
				return err
			}
			return app.writeManifest(raw)
		},
		ValidArgsFunction: oneWord(app.imageWords),
	})
	app.lazily(cmd, func() {
		registry.addFlags(cmd.Flags())
	})
	return cmd
}

// writeManifest prints JSON that a registry may have made.
func (app *App) writeManifest(raw json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "    "); err != nil {
		return fmt.Errorf("print as JSON: %w", err)
	}
	out.WriteByte('\n')
	text := out.String()
	if app.Terminal.IsTerminal(1) {
		text = printable(text)
	}
	_, err := io.WriteString(app.Stdout, text)
	return err
}

func newManifestRmCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:     "rm LIST [LIST...]",
		Short:   "Remove manifest lists from the local store",
		Long:    "Takes names from manifest lists, and deletes those that have none left. The images they list stay.",
		Example: `  vpod manifest rm mylist`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			eng, err := app.engine()
			if err != nil {
				return err
			}
			removed, err := eng.RemoveImages(cmd.Context(), args, engine.RemoveImagesOptions{Lists: true})
			app.showRemoved(removed)
			return app.printErrors(cmd.Context(), joined(err), removalCode)
		},
		ValidArgsFunction: app.imageWords,
	})
}

// oneEntry is the body of commands that change what a list says of an image.
func (app *App) oneEntry(list, image string, change func(eng listEditor) (string, error)) error {
	if list == "" || image == "" {
		return errors.New("a manifest list and an image must be named")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return app.printID(change(eng))
}
