package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// runFlags are those of create, and what to do once the container runs.
type runFlags struct {
	createFlags
	attachFlags
	detach bool
	attach []string
}

func newRunCommand(app *App) *cobra.Command {
	var opts runFlags
	cmd := withStore(&cobra.Command{
		Use:   "run [options] IMAGE [COMMAND [ARG...]]",
		Short: "Run a command in a new container",
		Long:  "Makes a container from an image, starts its virtual machine and runs the command in it. The image is fetched when it is not there.",
		Example: `  vpod run --rm busybox uname -r
  vpod run -it --rm debian bash
  vpod run -d --name web -p 8080:80 docker.io/library/nginx
  tar c . | vpod run -i --rm -m 1g alpine sha256sum`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.run(cmd.Context(), &opts, args)
		},
	})
	app.lazily(cmd, func() {
		opts.createFlags.addFlags(cmd.Flags())
		opts.attachFlags.addFlags(cmd.Flags())
		app.timing.addFlags(app, cmd.Flags())
		cmd.Flags().BoolVarP(&opts.detach, "detach", "d", false, "Leave the container running in the background and print its id")
		cmd.Flags().StringSliceVarP(&opts.attach, "attach", "a", nil, "Attach to this `stream`: stdin, stdout or stderr (default all)")
		opts.createFlags.completeFlags(app, cmd)
		completeFlag(cmd, "timing", fixedWords(timingFormats...))
		completeFlag(cmd, "attach", fixedWords("stdin", "stdout", "stderr"))
		completeFlag(cmd, "detach-keys", noWords)
	})
	return cmd
}

// streams resolves -a and -i into what the session connects.
func (f *runFlags) streams() (sessionOptions, error) {
	o := sessionOptions{tty: f.tty, forward: f.sigProxy}
	if len(f.attach) == 0 {
		o.stdin, o.stdout, o.stderr = f.interactive, true, true
		return o, nil
	}
	if f.detach {
		return o, errors.New("--attach and --detach cannot be combined: one stays, the other leaves")
	}
	for _, s := range f.attach {
		switch strings.ToLower(s) {
		case "stdin":
			o.stdin = true
		case "stdout":
			o.stdout = true
		case "stderr":
			o.stderr = true
		default:
			return o, fmt.Errorf("--attach %q: the streams are stdin, stdout and stderr", s)
		}
	}
	if o.stdin && !f.interactive {
		return o, errors.New("--attach stdin needs --interactive, or the container reads nothing")
	}
	return o, nil
}

func (app *App) run(ctx context.Context, f *runFlags, args []string) error {
	o, err := f.streams()
	if err != nil {
		return err
	}
	if o.detachKeys, err = f.keys(app); err != nil {
		return err
	}
	if o.stdin && o.tty {
		app.warnWithoutTerminal()
	}
	c, err := app.create(ctx, &f.createFlags, args, true)
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	if f.detach {
		if code, err := eng.Start(ctx, c.Spec.ID, engine.StartOptions{}); err != nil {
			app.dropFailed(ctx, eng, c)
			return startError(code, err)
		}
		_, err = fmt.Fprintln(app.Stdout, c.Spec.ID)
		return err
	}
	s, err := app.openSession(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	code, err := eng.Start(s.ctx, c.Spec.ID, engine.StartOptions{Attach: &s.streams})
	if err = s.leave(code, err); err != nil {
		app.dropFailed(ctx, eng, c)
	}
	return err
}

// startError gives a failed start the code the engine found for it.
func startError(code int, err error) error {
	if code == 0 {
		return err
	}
	return &statusError{code: code, err: err}
}

// dropFailed removes a --rm container that did not come to run. One that ran is
// removed already, or still runs; both are left alone by a removal without force.
func (app *App) dropFailed(ctx context.Context, eng remover, c container.Container) {
	if c.Spec.AutoRemove {
		eng.Remove(context.WithoutCancel(ctx), engine.Selection{Names: []string{c.Spec.ID}, Ignore: true}, engine.RemoveOptions{})
	}
}

// warnWithoutTerminal says what a user of -it in a script may wonder about.
func (app *App) warnWithoutTerminal() {
	if !app.Terminal.IsTerminal(0) {
		app.warn("the input device is not a TTY: --tty and --interactive together may not work as expected")
	}
}
