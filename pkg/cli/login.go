package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vpod/pkg/engine"
)

// authenticator is what login and logout need of the engine.
type authenticator interface {
	Login(ctx context.Context, opts engine.LoginOptions) error
	Logout(opts engine.LogoutOptions) error
}

// authFileFlags say where credentials are kept.
type authFileFlags struct{ file, docker string }

func (f *authFileFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.file, "authfile", "", "Keep the credentials in this `file`")
	flags.StringVar(&f.docker, "compat-auth-file", "", "Keep the credentials in this `file`, as Docker does")
}

func (f *authFileFlags) check() error {
	if f.file != "" && f.docker != "" {
		return errors.New("--authfile and --compat-auth-file cannot be used together")
	}
	return nil
}

type loginFlags struct {
	authFileFlags
	certDir       string
	getLogin      bool
	password      string
	passwordStdin bool
	tlsVerify     bool
	username      string
	verbose       bool
	changed       func(flag string) bool
}

func (f *loginFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	f.authFileFlags.addFlags(flags)
	flags.StringVar(&f.certDir, "cert-dir", "", "Take certificates and keys for the registry from this `directory`")
	flags.BoolVar(&f.getLogin, "get-login", false, "Print the user that is logged in, and do no more")
	flags.StringVarP(&f.password, "password", "p", "", "Log in with this `password`")
	flags.BoolVar(&f.passwordStdin, "password-stdin", false, "Read the password from standard input")
	flags.BoolVar(&f.tlsVerify, "tls-verify", true, "Require HTTPS and verify certificates of registries")
	flags.StringVarP(&f.username, "username", "u", "", "Log in as this `user`")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "Say where the credentials are kept")
}

func newLoginCommand(app *App) *cobra.Command {
	var opts loginFlags
	cmd := &cobra.Command{
		Use:   "login [options] [REGISTRY]",
		Short: "Log in to a registry",
		Long:  "Asks a registry whether it takes a user and a password, and keeps them for vpod, Podman, Buildah and Skopeo, in auth.json or by a credential helper.",
		Example: `  vpod login registry.example
  vpod login --username me --password-stdin registry.example < secret
  vpod login --get-login registry.example`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return app.login(cmd.Context(), &opts, args)
		},
		ValidArgsFunction: noWords,
	}
	app.lazily(cmd, func() {
		opts.addFlags(cmd.Flags())
		completeFlag(cmd, "password", noWords)
		completeFlag(cmd, "username", noWords)
	})
	return cmd
}

func (app *App) login(ctx context.Context, f *loginFlags, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.passwordStdin && f.password != "" {
		return errors.New("--password and --password-stdin cannot be used together")
	}
	if f.passwordStdin && f.username == "" {
		return errors.New("--password-stdin needs --username")
	}
	opts := engine.LoginOptions{
		AuthFile: f.file, DockerAuthFile: f.docker, CertDir: f.certDir, Username: f.username, Password: f.password,
		PasswordStdin: f.passwordStdin, GetLogin: f.getLogin, Verbose: f.verbose, Stdin: app.input(ctx), Stdout: app.Stdout,
	}
	if f.changed("tls-verify") {
		opts.TLSVerify = &f.tlsVerify
	}
	if len(args) > 0 {
		opts.Registry = args[0]
	}
	if f.password != "" {
		fmt.Fprintln(app.Stderr, "Warning: other users of this machine may see a password on the command line: --password-stdin hides it")
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	err = eng.Login(ctx, opts)
	if ctx.Err() != nil && app.Terminal.IsTerminal(0) {
		fmt.Fprintln(app.Stderr) // after the question
	}
	return err
}

type logoutFlags struct {
	authFileFlags
	all bool
}

func newLogoutCommand(app *App) *cobra.Command {
	var opts logoutFlags
	cmd := &cobra.Command{
		Use:   "logout [options] [REGISTRY]",
		Short: "Log out of a registry",
		Long:  "Forgets the user and the password that `login` kept for a registry.",
		Example: `  vpod logout registry.example
  vpod logout --all`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return app.logout(&opts, args)
		},
		ValidArgsFunction: noWords,
	}
	app.lazily(cmd, func() {
		opts.authFileFlags.addFlags(cmd.Flags())
		cmd.Flags().BoolVarP(&opts.all, "all", "a", false, "Log out of all registries")
	})
	return cmd
}

func (app *App) logout(f *logoutFlags, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.all && len(args) > 0 {
		return errors.New("--all and a registry cannot be used together")
	}
	opts := engine.LogoutOptions{AuthFile: f.file, DockerAuthFile: f.docker, All: f.all, Stdout: app.Stdout}
	if len(args) > 0 {
		opts.Registry = args[0]
	}
	eng, err := app.engine()
	if err != nil {
		return err
	}
	return eng.Logout(opts)
}
