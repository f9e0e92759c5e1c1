package image

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/containers/common/libimage"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/signature"
	"github.com/containers/storage"
)

// What callers branch on. The errors that carry them read as Podman's do.
var (
	ErrNotFound = errors.New("image not known")          // no such image in the store
	ErrInUse    = errors.New("image is in use")          // by a container
	ErrNoPolicy = errors.New("no signature policy")      // policy.json is missing
	ErrRejected = errors.New("rejected by the policy")   // policy.json forbids the image
	ErrLogin    = errors.New("registry wants a login")   // or refuses the one it was given
	ErrRegistry = errors.New("registry does not answer") // or not in the way it should
)

// kindError is err, text and all, that also is kind to errors.Is.
type kindError struct {
	error
	kind error
}

func (e *kindError) Unwrap() []error { return []error{e.error, e.kind} }

// asKind marks err as of a kind.
func asKind(kind, err error) error { return &kindError{error: err, kind: kind} }

// plainCopyError takes the words off a copy's error that only say again that it
// was a copy and of what.
func plainCopyError(err error) error {
	for strings.HasPrefix(err.Error(), "unable to perform copy: ") || strings.HasPrefix(err.Error(), "unable to copy from source ") {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	return err
}

// onOneLine puts the errors of several registries, which the library lists one below the
// other, behind each other. Another error stays as it is.
func onOneLine(err error) error {
	several, ok := err.(interface{ WrappedErrors() []error })
	if !ok {
		return err
	}
	var line error
	for _, e := range several.WrappedErrors() {
		if line == nil {
			line = e
			continue
		}
		line = fmt.Errorf("%w; %w", line, e)
	}
	return line
}

// explain marks an error of the libraries with what callers branch on, and adds
// what the user can do about it.
func explain(err error) error {
	if err == nil {
		return nil
	}
	hint := func(kind error, format string, args ...any) error {
		err := fmt.Errorf("%w; "+format, append([]any{err}, args...)...)
		if kind == nil {
			return err
		}
		return asKind(kind, err)
	}
	var (
		login     docker.ErrUnauthorizedForCredentials
		requireTo signature.PolicyRequirementError
		unknownCA x509.UnknownAuthorityError
		badCert   *tls.CertificateVerificationError
		noHost    *net.DNSError
		text      = err.Error()
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case libimage.ErrorIsImageUnknown(err):
		return asKind(ErrNotFound, err)
	case errors.Is(err, storage.ErrImageUsedByContainer):
		return asKind(ErrInUse, err)
	case errors.As(err, &requireTo):
		return hint(ErrRejected, "policy.json(5) says which images are accepted")
	case errors.As(err, &login), errors.Is(err, docker.ErrTooManyRequests):
		return hint(ErrLogin, "log in with `vpod login`, or give --creds or --authfile")
	case errors.Is(err, http.ErrSchemeMismatch):
		return hint(ErrRegistry, "the registry speaks plain HTTP: give --tls-verify=false, or mark it insecure in registries.conf")
	case errors.As(err, &unknownCA), errors.As(err, &badCert):
		return hint(ErrRegistry, "its certificate is not trusted: give --cert-dir, or --tls-verify=false")
	case errors.As(err, &noHost):
		return hint(ErrRegistry, "is the name right, and is there a network?")
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return hint(ErrRegistry, "is the registry running, and is there a network?")
	// The rest has only its text: it comes from a server or another process.
	case strings.Contains(text, "insufficient UIDs or GIDs"):
		before, _, _ := strings.Cut(text, ": Check /etc/subuid")
		return asKind(err, fmt.Errorf("%s. %s", before, subidAdvice()))
	case strings.Contains(text, "unauthorized"), strings.Contains(text, "authentication required"):
		return hint(ErrLogin, "log in with `vpod login`, or give --creds or --authfile")
	case strings.Contains(text, "manifest unknown"), strings.Contains(text, "name unknown"):
		return hint(nil, "is the name right? `vpod search --list-tags` lists the tags of a repository")
	case strings.Contains(text, "Source image rejected: "):
		return hint(ErrRejected, "policy.json(5) says which images are accepted")
	case strings.Contains(text, "Would invalidate signatures"):
		return hint(nil, "the image has signatures, which would not fit what is written: give --remove-signatures, and sign anew if need be")
	case strings.Contains(text, "missing private key needed for decryption"), strings.Contains(text, "no suitable key unwrapper found"):
		before, _, _ := strings.Cut(text, ":\n") // the library goes on for lines
		return asKind(err, fmt.Errorf("%s; the image is encrypted: give its key with --decryption-key", before))
	case strings.Contains(text, "no policy.json file found"):
		return hint(ErrNoPolicy, `install the package that holds it (golang-github-containers-common on Debian), or write one that accepts everything: {"default":[{"type":"insecureAcceptAnything"}]}`)
	case strings.Contains(text, "no containers-registries.conf(5) was found"):
		return hint(nil, "give the full name, as docker.io/library/NAME, or install golang-github-containers-image on Debian")
	}
	return err
}
