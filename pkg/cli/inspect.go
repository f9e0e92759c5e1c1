package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"text/template"

	"github.com/containers/common/pkg/report"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// containerInspector is what inspect needs of the engine for containers.
type containerInspector interface {
	Inspect(ctx context.Context, nameOrID string, size bool) (*engine.ContainerInspect, error)
}

// imageInspector is what inspect needs of the engine for images.
type imageInspector interface {
	InspectImage(ctx context.Context, name string) (*engine.ImageInspect, error)
}

// Kinds of objects that inspect knows.
const (
	inspectAll       = "all"
	inspectContainer = "container"
	inspectImage     = "image"
)

type inspectFlags struct {
	format string
	kind   string
	latest bool
	size   bool

	inStore bool // the command has made the image store usable already
}

func (f *inspectFlags) addFormat(flags *pflag.FlagSet) {
	flags.StringVarP(&f.format, "format", "f", "", "Print in this `format`: json (default), or a Go template")
}

func (f *inspectFlags) addContainerFlags(flags *pflag.FlagSet) {
	flags.BoolVarP(&f.latest, "latest", "l", false, "Show the container created last")
	flags.BoolVarP(&f.size, "size", "s", false, "Show what containers occupy on disk, too")
}

func newInspectCommand(app *App) *cobra.Command {
	opts := inspectFlags{kind: inspectAll}
	cmd := &cobra.Command{
		Use:   "inspect [options] CONTAINER|IMAGE [...]",
		Short: "Show all that is known of containers and images",
		Long:  "Prints a JSON array with an object for each container or image; a name of both means the container.",
		Example: `  vpod inspect web
  vpod inspect --format '{{.State.Status}} {{.VM.Accel}}' web
  vpod inspect --type image alpine`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.inspect(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerOrImageWords,
	}
	app.lazily(cmd, func() {
		opts.addFormat(cmd.Flags())
		opts.addContainerFlags(cmd.Flags())
		cmd.Flags().VarP(newChoice(&opts.kind, inspectAll, inspectContainer, inspectImage), "type", "t", "Look only for this `kind` of object: container, image or all")
		completeFlag(cmd, "type", fixedWords(inspectAll, inspectContainer, inspectImage))
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

func newContainerInspectCommand(app *App) *cobra.Command {
	opts := inspectFlags{kind: inspectContainer}
	cmd := &cobra.Command{
		Use:     "inspect [options] CONTAINER [CONTAINER...]",
		Short:   "Show all that is known of containers",
		Long:    "Prints a JSON array with an object for each container.",
		Example: `  vpod container inspect --format '{{.VM.QEMUPid}}' web`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.inspect(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.containerWords(),
	}
	app.lazily(cmd, func() {
		opts.addFormat(cmd.Flags())
		opts.addContainerFlags(cmd.Flags())
		completeFlag(cmd, "format", fixedWords("json"))
	})
	return cmd
}

func newImageInspectCommand(app *App) *cobra.Command {
	opts := inspectFlags{kind: inspectImage, inStore: true}
	var remote remoteFlags
	cmd := withStore(&cobra.Command{
		Use:   "inspect [options] IMAGE [IMAGE...]",
		Short: "Show all that is known of images",
		Long:  "Prints a JSON array with an object for each image of the local store. A name with another transport, as docker://, is looked at where it is: no layer is fetched.",
		Example: `  vpod image inspect --format '{{.Config.Cmd}}' alpine
  vpod image inspect docker://registry.example/team/app:1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if ok, err := remote.wanted(args); ok || err != nil {
				return app.inspectRemote(cmd.Context(), &remote, opts.format, args, err)
			}
			return app.inspect(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: app.imageWords,
	})
	app.lazily(cmd, func() {
		opts.addFormat(cmd.Flags())
		remote.addFlags(cmd.Flags())
		completeFlag(cmd, "format", fixedWords("json"))
		remote.completeFlags(cmd)
	})
	return cmd
}

func (app *App) inspect(ctx context.Context, f *inspectFlags, names []string) error {
	switch {
	case f.latest && len(names) > 0:
		return errors.New("--latest and arguments cannot be used together")
	case f.latest && f.kind == inspectImage:
		return errors.New("--latest names a container, and --type image does not look for one")
	case !f.latest && len(names) == 0:
		return errors.New("no names or ids specified")
	}
	if f.latest {
		eng, err := app.engine()
		if err != nil {
			return err
		}
		id, err := app.latest(ctx, eng)
		if err != nil {
			return err
		}
		names, f.kind = []string{id}, inspectContainer
	}
	found := []any{}
	var errs []error
	for _, name := range names {
		object, err := app.inspectOne(ctx, f, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, object)
	}
	if f.format == "" || isJSON(f.format) {
		if err := writeJSON(app.Stdout, found); err != nil {
			return err
		}
		return app.printErrors(ctx, errs, ownFailure)
	}
	for _, object := range found {
		if err := app.writeInspected(f.format, object); err != nil {
			return err
		}
	}
	return app.printErrors(ctx, errs, ownFailure)
}

// inspectOne looks for one object: containers first, which need no image store.
func (app *App) inspectOne(ctx context.Context, f *inspectFlags, name string) (any, error) {
	if f.kind != inspectImage {
		eng, err := app.engine()
		if err != nil {
			return nil, err
		}
		c, err := eng.Inspect(ctx, name, f.size)
		if err == nil {
			return c, nil
		}
		if f.kind == inspectContainer || !errors.Is(err, engine.ErrNoContainer) {
			return nil, err
		}
	}
	if !f.inStore {
		if err := app.enterStore(); err != nil { // an ordinary user's command begins anew here, once
			return nil, err
		}
	}
	eng, err := app.engine()
	if err != nil {
		return nil, err
	}
	img, err := eng.InspectImage(ctx, name)
	if f.kind == inspectAll && errors.Is(err, engine.ErrNoImage) {
		return nil, withHint(fmt.Errorf("no such object: %q", name), "`vpod ps --all` lists the containers there are, `vpod images` the images")
	}
	return img, err
}

// podmanNames are names that Podman's templates use for fields called otherwise
// (podman, cmd/podman/inspect/inspect.go, inspectNormalize).
var podmanNames = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\.Id\b`) })

// writeInspected prints one object by the user's template. Names are those of
// the fields or those of the JSON keys.
func (app *App) writeInspected(format string, object any) error {
	text := report.NormalizeFormat(format)
	t, err := template.New("inspect").Funcs(template.FuncMap(report.DefaultFuncs)).Parse(podmanNames().ReplaceAllString(text, ".ID"))
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, object); err != nil {
		byKey, keyErr := byJSONKeys(text, object)
		if keyErr != nil {
			return fmt.Errorf("--format: %w", err)
		}
		out.Reset()
		out.Write(byKey)
	}
	text = out.String()
	if app.Terminal.IsTerminal(1) {
		text = printable(text) // the kernel's name is what the guest says
	}
	_, err = io.WriteString(app.Stdout, text)
	return err
}

// byJSONKeys applies a template to the JSON form of an object.
func byJSONKeys(text string, object any) ([]byte, error) {
	b, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var generic any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&generic); err != nil {
		return nil, err
	}
	t, err := template.New("inspect").Option("missingkey=error").Funcs(template.FuncMap(report.DefaultFuncs)).Parse(text)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, generic)
	return out.Bytes(), err
}
