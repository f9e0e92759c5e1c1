package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// createFlags are all the options that say what a container is like. run and
// create embed them, and differ only in what they do with the container.
type createFlags struct {
	imageFlags
	lifecycleFlags
	processFlags
	securityFlags
	labelFlags
	rootfsFlags
	machineFlags
	templateFlags
	limitFlags
	networkFlags
	logFlags
}

func (f *createFlags) addFlags(flags *pflag.FlagSet) {
	flags.SetInterspersed(false) // what follows the image is the container's command line
	flags.SetNormalizeFunc(alias("net", "network"))
	flags.Bool("help", false, "") // without the -h that cobra gives it, which is --hostname
	f.imageFlags.addFlags(flags)
	f.lifecycleFlags.addFlags(flags)
	f.processFlags.addFlags(flags)
	f.securityFlags.addFlags(flags)
	f.labelFlags.addFlags(flags)
	f.rootfsFlags.addFlags(flags)
	f.machineFlags.addFlags(flags)
	f.templateFlags.addFlags(flags)
	f.limitFlags.addFlags(flags)
	f.networkFlags.addFlags(flags)
	f.logFlags.addFlags(flags)
}

// surroundings is what flags may refer to beyond their own values.
type surroundings struct {
	config  *config.Config
	environ []string // vpod's own
}

// surroundings reads containers.conf.
func (app *App) surroundings() (surroundings, error) {
	cfg, err := app.Config()
	if err != nil {
		return surroundings{}, err
	}
	return surroundings{config: cfg, environ: app.Environ}, nil
}

// spec turns the options and the arguments IMAGE [COMMAND [ARG...]] into what
// the engine is asked for. It reads the files that options name and changes
// nothing. Defaults that depend on the image are left to the engine; those of
// containers.conf that an explicit zero must be told from are filled in here.
func (f *createFlags) spec(args []string, in surroundings) (container.Spec, engine.CreateOptions, error) {
	var spec container.Spec
	var opts engine.CreateOptions
	opts.Image = args[0]
	spec.Process.Command = slices.Clone(args[1:])
	f.templateFlags.apply(&spec.Machine)
	steps := []func() error{
		func() error { return f.imageFlags.apply(&opts.Pull) },
		func() error { return f.lifecycleFlags.apply(&spec, &opts, in) },
		func() error { return f.processFlags.apply(&spec, &opts, in) },
		func() error { return f.securityFlags.apply(&spec) },
		func() error { return f.labelFlags.apply(&spec) },
		func() error { return f.rootfsFlags.apply(&spec) },
		func() error { return f.machineFlags.apply(&spec.Machine) },
		func() error { return f.limitFlags.apply(&spec, in) },
		func() error { return f.networkFlags.apply(&spec, in) },
		func() error { return f.logFlags.apply(&spec.Log, in) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return container.Spec{}, engine.CreateOptions{}, err
		}
	}
	return spec, opts, nil
}

// absFile returns the absolute path of a regular file that can be read.
func absFile(flag, path string) (string, error) {
	abs, err := absPath(flag, path)
	if err != nil {
		return "", err
	}
	file, err := os.Open(abs)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s %s: not a regular file", flag, path)
	}
	return abs, nil
}

// absPath returns the absolute form of a path that an option names.
func absPath(flag, path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s %q: %w", flag, path, err)
	}
	return abs, nil
}

// alias makes an option known by another name, too, which help does not show.
func alias(other, name string) func(*pflag.FlagSet, string) pflag.NormalizedName {
	return func(_ *pflag.FlagSet, given string) pflag.NormalizedName {
		if given == other {
			given = name
		}
		return pflag.NormalizedName(given)
	}
}
