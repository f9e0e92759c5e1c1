package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/containers/common/pkg/auth"
	imgtypes "github.com/containers/image/v5/types"
)

// LoginOptions say who logs in where. The zero value asks for user and password.
type LoginOptions struct {
	Registry       string // or a repository; "" is the first of registries.conf
	AuthFile       string // where the credentials go; "" is the usual place, or a helper registries.conf names
	DockerAuthFile string // Docker's config.json to write to instead
	CertDir        string
	TLSVerify      *bool // nil leaves it to registries.conf

	Username, Password string // "" is asked for
	PasswordStdin      bool
	GetLogin           bool // only print the user that is logged in
	Verbose            bool // say where the credentials went

	Stdin  io.Reader
	Stdout io.Writer
}

// Login asks a registry whether it takes the credentials, and keeps them where
// Podman, Buildah and Skopeo look for them, too. The store is not touched.
func (s *Store) Login(ctx context.Context, opts LoginOptions) error {
	err := auth.Login(ctx, s.authContext(opts.TLSVerify), &auth.LoginOptions{
		AuthFile:                  opts.AuthFile,
		DockerCompatAuthFile:      opts.DockerAuthFile,
		CertDir:                   opts.CertDir,
		Username:                  opts.Username,
		Password:                  opts.Password,
		StdinPassword:             opts.PasswordStdin,
		GetLoginSet:               opts.GetLogin,
		Verbose:                   opts.Verbose,
		AcceptRepositories:        true,
		AcceptUnspecifiedRegistry: true,
		Stdin:                     opts.Stdin,
		Stdout:                    opts.Stdout,
	}, opts.registry())
	var refused auth.ErrNewCredentialsInvalid
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &refused): // the text says it all
		return asKind(ErrLogin, err)
	case errors.Is(err, syscall.ENOTTY), errors.Is(err, io.EOF):
		return fmt.Errorf("%w; there is no terminal to ask at: give --username and --password-stdin", err)
	}
	return explain(err)
}

// LogoutOptions say which credentials are forgotten.
type LogoutOptions struct {
	Registry       string // or a repository; "" is the first of registries.conf
	AuthFile       string // as in LoginOptions
	DockerAuthFile string
	All            bool // those for all registries

	Stdout io.Writer
}

// Logout forgets credentials. The store is not touched.
func (s *Store) Logout(opts LogoutOptions) error {
	return auth.Logout(s.authContext(nil), &auth.LogoutOptions{
		AuthFile:                  opts.AuthFile,
		DockerCompatAuthFile:      opts.DockerAuthFile,
		All:                       opts.All,
		AcceptRepositories:        true,
		AcceptUnspecifiedRegistry: true,
		Stdout:                    opts.Stdout,
	}, LoginOptions{Registry: opts.Registry}.registry())
}

// registry is the one named, as the library takes it.
func (o LoginOptions) registry() []string {
	if o.Registry == "" {
		return nil
	}
	return []string{o.Registry}
}

// authContext leaves the place of credentials to the library, which for writing
// has rules of its own.
func (s *Store) authContext(tlsVerify *bool) *imgtypes.SystemContext {
	sys := &imgtypes.SystemContext{SystemRegistriesConfPath: s.registriesConf(), AuthFilePath: s.opts.AuthFile}
	Access{TLSVerify: tlsVerify}.apply(sys)
	return sys
}
