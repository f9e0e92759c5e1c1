package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// remoteInspector is what image inspect needs of the engine for images that are
// not in the store.
type remoteInspector interface {
	InspectRemoteImage(ctx context.Context, name string, opts engine.RemoteOptions) (*engine.RemoteImage, error)
	RemoteImageManifest(ctx context.Context, name string, opts engine.RemoteOptions) ([]byte, error)
	RemoteImageConfig(ctx context.Context, name string, raw bool, opts engine.RemoteOptions) ([]byte, error)
}

// remoteFlags are the options of image inspect for images that are not in the
// store, as skopeo has them.
type remoteFlags struct {
	platformFlags
	accessFlags
	retryFlags
	config bool
	raw    bool
	noTags bool
}

// remoteOnly are the options that an image of the store has no use for.
var remoteOnly = []string{"arch", "authfile", "cert-dir", "config", "creds", "no-tags", "os", "platform", "raw", "retry", "retry-delay", "tls-verify", "variant"}

func (f *remoteFlags) addFlags(flags *pflag.FlagSet) {
	f.platformFlags.addFlags(flags)
	f.accessFlags.addFlags(flags)
	f.retryFlags.addFlags(flags)
	flags.BoolVar(&f.config, "config", false, "Print the configuration of the image")
	flags.BoolVarP(&f.noTags, "no-tags", "n", false, "Leave out the tags of the repository")
	flags.BoolVar(&f.raw, "raw", false, "Print the manifest, or with --config the configuration, as it is")
}

func (f *remoteFlags) completeFlags(cmd *cobra.Command) {
	f.platformFlags.completeFlags(cmd)
	for _, flag := range []string{"creds", "retry", "retry-delay"} {
		completeFlag(cmd, flag, noWords)
	}
}

// wanted reports whether a name is not one of the store. Options that only
// make sense for such are refused for others.
func (f *remoteFlags) wanted(names []string) (bool, error) {
	remote := 0
	for _, name := range names {
		if engine.IsRemoteImage(name) {
			remote++
		}
	}
	i := slices.IndexFunc(remoteOnly, f.accessFlags.changed)
	switch {
	case remote > 0 && len(names) > 1:
		return true, errors.New("an image outside of the local store has to be the only one named")
	case remote == 0 && i >= 0:
		return false, withHint(fmt.Errorf("--%s is for images outside of the local store", remoteOnly[i]), "name the image with its transport, as docker://registry.example/app")
	}
	return remote > 0, nil
}

// options turns flags into what the engine is asked for.
func (f *remoteFlags) options() (engine.RemoteOptions, error) {
	opts := engine.RemoteOptions{Retry: f.retryFlags.get(), NoTags: f.noTags}
	var err error
	if opts.Access, err = f.accessFlags.get(); err != nil {
		return opts, err
	}
	platform, err := f.platformFlags.get()
	opts.Platform = engine.RemotePlatform(platform)
	return opts, err
}

func (app *App) inspectRemote(ctx context.Context, f *remoteFlags, format string, names []string, refused error) error {
	if refused != nil {
		return refused
	}
	opts, err := f.options()
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	var object any
	switch {
	case f.raw && format != "":
		return errors.New("--raw and --format cannot be used together")
	case f.raw:
		get := eng.RemoteImageManifest
		if f.config {
			get = func(ctx context.Context, name string, opts engine.RemoteOptions) ([]byte, error) {
				return eng.RemoteImageConfig(ctx, name, true, opts)
			}
		}
		raw, err := get(ctx, names[0], opts)
		if err != nil {
			return err
		}
		return app.writeRaw(raw)
	case f.config:
		raw, err := eng.RemoteImageConfig(ctx, names[0], false, opts)
		if err != nil {
			return err
		}
		if format == "" {
			return app.writeManifest(raw)
		}
		if err := json.Unmarshal(raw, &object); err != nil {
			return fmt.Errorf("read the configuration of %s: %w", names[0], err)
		}
	default:
		if object, err = eng.InspectRemoteImage(ctx, names[0], opts); err != nil {
			return err
		}
	}
	if format == "" || isJSON(format) {
		return writeJSON(app.Stdout, object)
	}
	return app.writeInspected(format, object)
}

// writeRaw prints what a registry said byte for byte, so that its digest can be
// taken; a terminal is kept from obeying it.
func (app *App) writeRaw(raw []byte) error {
	if app.Terminal.IsTerminal(1) {
		raw = []byte(printable(string(bytes.TrimRight(raw, "\n"))) + "\n")
	}
	_, err := app.Stdout.Write(raw)
	return err
}
