package cli

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// executor is what exec needs of the engine.
type executor interface {
	Exec(ctx context.Context, nameOrID string, opts engine.ExecOptions) (exitCode int, sessionID string, err error)
}

type execFlags struct {
	environmentFlags
	attachFlags
	latest      bool
	detach      bool
	interactive bool
	tty         bool
	privileged  bool
	user        string
	workDir     string
}

func (f *execFlags) addFlags(flags *pflag.FlagSet) {
	flags.SetInterspersed(false) // what follows the container is its command line
	f.environmentFlags.addFlags(flags)
	f.attachFlags.addDetachKeys(flags)
	flags.BoolVarP(&f.latest, "latest", "l", false, "Use the container created last")
	flags.BoolVarP(&f.detach, "detach", "d", false, "Leave the process running in the background and print the session's id")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "Connect standard input")
	flags.BoolVarP(&f.tty, "tty", "t", false, "Give the process a terminal")
	flags.BoolVar(&f.privileged, "privileged", false, "Give the process all capabilities, inside the container's own machine")
	flags.StringVarP(&f.user, "user", "u", "", "Run as this user: `NAME|UID[:GROUP|GID]` (default the container's)")
	flags.StringVarP(&f.workDir, "workdir", "w", "", "Start the process in this `directory` (default the container's)")
}

func newExecCommand(app *App) *cobra.Command {
	var opts execFlags
	cmd := &cobra.Command{
		Use:   "exec [options] CONTAINER COMMAND [ARG...]",
		Short: "Run a process in a running container",
		Long:  "Starts one more process in a running container and waits for its end.",
		Example: `  vpod exec web nginx -s reload
  vpod exec -it -w /srv web sh
  vpod exec -i db psql < dump.sql`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.exec(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: oneWord(app.containerWords(container.Running)),
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "detach-keys", noWords)
		completeFlag(cmd, "env", noWords)
		completeFlag(cmd, "user", noWords)
	})
	return cmd
}

// options turns flags into what the engine is asked for, streams aside.
func (f *execFlags) options(command []string, environ []string) (engine.ExecOptions, error) {
	env, err := f.environmentFlags.get(environ)
	if err != nil {
		return engine.ExecOptions{}, err
	}
	if f.workDir != "" && !path.IsAbs(f.workDir) {
		return engine.ExecOptions{}, fmt.Errorf("--workdir %q: the directory must be an absolute path in the container", f.workDir)
	}
	if f.detach && f.interactive {
		return engine.ExecOptions{}, errors.New("--detach and --interactive cannot be combined: nobody would feed the process")
	}
	return engine.ExecOptions{
		Command:    command,
		Env:        env,
		User:       f.user,
		WorkDir:    f.workDir,
		Terminal:   f.tty,
		Privileged: f.privileged,
		Detach:     f.detach,
	}, nil
}

func (app *App) exec(ctx context.Context, f *execFlags, args []string) error {
	var named []string
	command := args
	if !f.latest {
		if len(args) == 0 {
			return errors.New("exec requires the name or id of a container, or --latest")
		}
		named, command = args[:1], args[1:]
	}
	if len(command) == 0 {
		return errors.New("you must provide a command to execute")
	}
	opts, err := f.options(command, app.Environ)
	if err != nil {
		return err
	}
	keys, err := f.keys(app)
	if err != nil {
		return err
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	name, err := app.oneContainer(ctx, eng, f.latest, named)
	if err != nil {
		return err
	}
	if f.detach {
		code, id, err := eng.Exec(ctx, name, opts)
		if err != nil {
			return startError(code, err)
		}
		_, err = fmt.Fprintln(app.Stdout, id)
		return err
	}
	if f.interactive && f.tty {
		app.warnWithoutTerminal()
	}
	s, err := app.openSession(ctx, sessionOptions{
		stdin:      f.interactive,
		stdout:     true,
		stderr:     true,
		tty:        f.tty,
		forward:    true,
		detachKeys: keys,
	})
	if err != nil {
		return err
	}
	defer s.close()
	opts.Streams, opts.Size = s.streams, s.size
	code, _, err := eng.Exec(s.ctx, name, opts)
	return s.leave(code, err)
}
