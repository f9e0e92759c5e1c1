package cli

import (
	"errors"
	"slices"

	"github.com/containers/common/pkg/completion"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// entryOptions are the names of entryFlags.
var entryOptions = []string{"annotation", "arch", "features", "os", "os-features", "os-version", "variant"}

// entryFlags describe an image of a manifest list.
type entryFlags struct {
	annotations          []string
	os, osVersion        string
	arch, variant        string
	features, osFeatures []string
}

func (f *entryFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.annotations, "annotation", nil, "Give the image's entry an annotation: `KEY=VALUE`")
	flags.StringVar(&f.arch, "arch", "", "Say that the image is for this architecture, `ARCH`")
	flags.StringSliceVar(&f.features, "features", nil, "Say that the image needs these `features` of the processor")
	flags.StringVar(&f.os, "os", "", "Say that the image is for this operating system, `OS`")
	flags.StringSliceVar(&f.osFeatures, "os-features", nil, "Say that the image needs these `features` of the operating system")
	flags.StringVar(&f.osVersion, "os-version", "", "Say that the image is for this `version` of the operating system")
	flags.StringVar(&f.variant, "variant", "", "Say that the image is for this `variant` of the architecture")
}

func (f *entryFlags) completeFlags(cmd *cobra.Command) {
	completeFlag(cmd, "os", completion.AutocompleteOS)
	completeFlag(cmd, "arch", completion.AutocompleteArch)
	for _, name := range []string{"annotation", "features", "os-features", "os-version", "variant"} {
		completeFlag(cmd, name, noWords)
	}
}

func (f *entryFlags) get() (engine.ListEntry, error) {
	annotations, err := pairs("--annotation", f.annotations)
	return engine.ListEntry{
		Annotations: annotations, OS: f.os, OSVersion: f.osVersion, OSFeatures: f.osFeatures,
		Arch: f.arch, Variant: f.variant, Features: f.features,
	}, err
}

func newManifestAddCommand(app *App) *cobra.Command {
	var opts engine.AddToListOptions
	var entry entryFlags
	var registry accessFlags
	cmd := withStore(&cobra.Command{
		Use:   "add [options] LIST IMAGE [IMAGE...]",
		Short: "Add images to a manifest list",
		Long:  "Adds images to a manifest list of the local store, and prints its id. Images are taken from registries, or from the local store when no registry has them.",
		Example: `  vpod manifest add mylist docker.io/library/alpine
  vpod manifest add --arch arm64 --variant v8 mylist containers-storage:localhost/app:arm64`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if opts.Entry, err = entry.get(); err != nil {
				return err
			}
			if opts.Access, err = registry.get(); err != nil {
				return err
			}
			eng, err := app.engine()
			if err != nil {
				return err
			}
			return app.printID(eng.AddToList(cmd.Context(), args[0], args[1:], opts))
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		flags := cmd.Flags()
		entry.addFlags(flags)
		registry.addFlags(flags)
		flags.BoolVar(&opts.All, "all", false, "Add all images of those that are lists themselves")
		entry.completeFlags(cmd)
		completeFlag(cmd, "creds", noWords)
	})
	return cmd
}

func newManifestAnnotateCommand(app *App) *cobra.Command {
	var entry entryFlags
	cmd := withStore(&cobra.Command{
		Use:     "annotate [options] LIST IMAGE",
		Short:   "Change what a manifest list says of an image",
		Long:    "Changes what a manifest list of the local store says of one of its images, which is named by its digest or as an image of the store, and prints the list's id.",
		Example: `  vpod manifest annotate --arch arm64 --variant v8 mylist sha256:59eec8837a4d942cc19a52b8c09ea75121acc38114a2c68b98983ce9356b8610`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			described, err := entry.get()
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(entryOptions, cmd.Flags().Changed) {
				return errors.New("nothing to change: give at least one option")
			}
			return app.oneEntry(args[0], args[1], func(eng listEditor) (string, error) {
				return eng.DescribeInList(cmd.Context(), args[0], args[1], described)
			})
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		entry.addFlags(cmd.Flags())
		entry.completeFlags(cmd)
	})
	return cmd
}

func newManifestRemoveCommand(app *App) *cobra.Command {
	return withStore(&cobra.Command{
		Use:     "remove LIST IMAGE",
		Short:   "Take an image out of a manifest list",
		Long:    "Takes an image, named by its digest or as one of the store, out of a manifest list of the local store, and prints the list's id. The image itself stays.",
		Example: `  vpod manifest remove mylist sha256:59eec8837a4d942cc19a52b8c09ea75121acc38114a2c68b98983ce9356b8610`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.oneEntry(args[0], args[1], func(eng listEditor) (string, error) {
				return eng.RemoveFromList(cmd.Context(), args[0], args[1])
			})
		},
		ValidArgsFunction: app.imageWords,
	})
}
