package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// creator is what run and create need of the engine.
type creator interface {
	Create(ctx context.Context, spec container.Spec, opts engine.CreateOptions) (container.Container, []string, error)
}

func newCreateCommand(app *App) *cobra.Command {
	var opts createFlags
	cmd := withStore(&cobra.Command{
		Use:   "create [options] IMAGE [COMMAND [ARG...]]",
		Short: "Create a container and do not start it",
		Long:  "Makes a container from an image and prints its id. `vpod start` runs it.",
		Example: `  vpod create --name web -p 8080:80 docker.io/library/nginx
  vpod create -i busybox cat`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := app.create(cmd.Context(), &opts, args, false)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(app.Stdout, c.Spec.ID)
			return err
		},
	})
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		opts.completeFlags(app, cmd)
	})
	return cmd
}

// create makes the container that the options ask for and writes its id to the
// file of --cidfile. starts says that the caller starts it at once.
func (app *App) create(ctx context.Context, flags *createFlags, args []string, starts bool) (c container.Container, err error) {
	in, err := app.surroundings()
	if err != nil {
		return c, err
	}
	spec, opts, err := flags.spec(args, in)
	if err != nil {
		return c, err
	}
	spec.CreateCommand = app.Args
	opts.Starts = starts
	cidFile, err := reserveCIDFile(&spec)
	if err != nil {
		return c, err
	}
	defer func() { err = cidFile.finish(c.Spec.ID, err) }()
	eng, err := app.engine()
	if err != nil {
		return c, err
	}
	var progress *progressLine
	if !flags.quiet {
		progress = app.newProgressLine()
		opts.Progress = progress.show
		opts.Pull.Progress = app.Stderr
	}
	c, warnings, err := eng.Create(ctx, spec, opts)
	progress.end()
	for _, w := range warnings {
		app.warn("%s", w)
	}
	return c, err
}

// cidFile is the file of --cidfile, made before the container so that two
// commands cannot both believe it theirs. The zero value is none.
type cidFile struct{ file *os.File }

// reserveCIDFile makes the file and its path in spec absolute.
func reserveCIDFile(spec *container.Spec) (cidFile, error) {
	if spec.CIDFile == "" {
		return cidFile{}, nil
	}
	abs, err := absPath("--cidfile", spec.CIDFile)
	if err != nil {
		return cidFile{}, err
	}
	spec.CIDFile = abs
	file, err := os.OpenFile(abs, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return cidFile{}, withHint(fmt.Errorf("--cidfile: container id file %s exists", abs), "make sure that no container uses it, and delete it")
	}
	if err != nil {
		return cidFile{}, fmt.Errorf("--cidfile: %w", err)
	}
	return cidFile{file: file}, nil
}

// finish writes the id, or removes the file when err says that there is no
// container.
func (f cidFile) finish(id string, err error) error {
	if f.file == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, f.file.Close(), os.Remove(f.file.Name()))
	}
	_, err = f.file.WriteString(id)
	if err := errors.Join(err, f.file.Close()); err != nil {
		return fmt.Errorf("container %s exists, but its id could not be written: %w", id, err)
	}
	return nil
}
