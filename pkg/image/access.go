package image

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/containers/common/pkg/auth"
	imgtypes "github.com/containers/image/v5/types"
)

// Access says how to speak with a registry. The zero value is what auth.json and
// registries.conf say.
type Access struct {
	AuthFile  string // auth.json; "" is the store's
	Creds     string // "user[:password]"
	Anonymous bool   // use no credentials, even if there are some
	Token     string // a bearer token, in place of credentials
	CertDir   string // certificates and keys for the registry
	TLSVerify *bool  // nil leaves it to registries.conf
}

// check refuses files that are not there: the libraries would go on without.
func (a Access) check() error {
	if a.AuthFile != "" {
		if err := auth.CheckAuthFile(a.AuthFile); err != nil {
			return fmt.Errorf("--authfile: %w", err)
		}
	}
	if a.CertDir != "" {
		if info, err := os.Stat(a.CertDir); err != nil {
			return fmt.Errorf("--cert-dir: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("--cert-dir: %s: %w", a.CertDir, errors.New("not a directory"))
		}
	}
	return nil
}

// apply puts it into a configuration of the libraries.
func (a Access) apply(sys *imgtypes.SystemContext) {
	if a.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = imgtypes.NewOptionalBool(!*a.TLSVerify)
		sys.OCIInsecureSkipTLSVerify = !*a.TLSVerify
		sys.DockerDaemonInsecureSkipTLSVerify = !*a.TLSVerify
	}
	if a.AuthFile != "" {
		sys.AuthFilePath = a.AuthFile
	}
	if a.CertDir != "" {
		sys.DockerCertPath = a.CertDir
	}
	switch {
	case a.Anonymous:
		sys.DockerAuthConfig = &imgtypes.DockerAuthConfig{}
	case a.Token != "":
		sys.DockerBearerRegistryToken = a.Token
	case a.Creds != "":
		user, password, _ := strings.Cut(a.Creds, ":")
		sys.DockerAuthConfig = &imgtypes.DockerAuthConfig{Username: user, Password: password}
	}
}

// context is the libraries' configuration for what is done without the store.
func (s *Store) context(p Place) (*imgtypes.SystemContext, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	dir, err := s.passing()
	if err != nil {
		return nil, err
	}
	sys := &imgtypes.SystemContext{
		SignaturePolicyPath:      s.opts.SignaturePolicy,
		SystemRegistriesConfPath: s.registriesConf(),
		AuthFilePath:             s.authFile(),
		BigFilesTemporaryDir:     dir,
		OCISharedBlobDirPath:     p.SharedBlobs,
		DockerDaemonHost:         p.DockerHost,
	}
	p.apply(sys)
	return sys, nil
}

// registriesConf is the file to use in place of the usual ones, or "". The
// libraries look at these variables only where they open the store.
func (s *Store) registriesConf() string {
	for _, path := range []string{s.opts.RegistriesConf, os.Getenv("CONTAINERS_REGISTRIES_CONF"), os.Getenv("REGISTRIES_CONFIG_PATH")} {
		if path != "" {
			return path
		}
	}
	return ""
}

// authFile is where credentials are read; "" is the libraries' own places.
func (s *Store) authFile() string {
	if s.opts.AuthFile != "" {
		return s.opts.AuthFile
	}
	return auth.GetDefaultAuthFile()
}
