package engine

import (
	"context"

	"vpod/pkg/image"
)

// What verbs on registries are asked, as the workshop has it.
type (
	RegistryAccess = image.Access
	Retry          = image.Retry
	Compression    = image.Compression
	Signing        = image.Signing
	Encryption     = image.Encryption
	PushOptions    = image.PushOptions
	LoginOptions   = image.LoginOptions
	LogoutOptions  = image.LogoutOptions
)

// Push copies an image to a registry, an archive or a directory, and returns the
// digest of its manifest there.
func (e *Engine) Push(ctx context.Context, name, destination string, opts PushOptions) (string, error) {
	return e.images().Push(ctx, name, destination, opts)
}

// Login keeps credentials for a registry that takes them.
func (e *Engine) Login(ctx context.Context, opts LoginOptions) error {
	return e.images().Login(ctx, opts)
}

// Logout forgets credentials.
func (e *Engine) Logout(opts LogoutOptions) error {
	return e.images().Logout(opts)
}
