package engine

import (
	"context"

	"vpod/pkg/image"
)

// What verbs on registries are asked, as the workshop has it.
type (
	RegistryAccess   = image.Access
	Retry            = image.Retry
	Compression      = image.Compression
	Signing          = image.Signing
	Encryption       = image.Encryption
	PushOptions      = image.PushOptions
	LoginOptions     = image.LoginOptions
	LogoutOptions    = image.LogoutOptions
	Place            = image.Place
	CopyOptions      = image.CopyOptions
	RemoteOptions    = image.RemoteOptions
	RemoteImage      = image.Remote
	RemotePlatform   = image.Platform
	SearchOptions    = image.SearchOptions
	SyncOptions      = image.SyncOptions
	FoundImage       = image.Found
	Trust            = image.Trust
	TrustSetting     = image.TrustSetting
	SignImageOptions = image.SignImageOptions
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

// CopyImage copies an image between any two places, each a name with its
// transport, and returns the digest of the manifest that was written.
func (e *Engine) CopyImage(ctx context.Context, source, dest string, opts CopyOptions) (string, error) {
	return e.images().Copy(ctx, source, dest, opts)
}

// IsRemoteImage reports whether a name means an image outside of the store.
func IsRemoteImage(name string) bool { return image.IsRemote(name) }

// InspectRemoteImage describes an image outside of the store.
func (e *Engine) InspectRemoteImage(ctx context.Context, name string, opts RemoteOptions) (*RemoteImage, error) {
	return e.images().InspectRemote(ctx, name, opts)
}

// RemoteImageManifest returns such an image's manifest as it is.
func (e *Engine) RemoteImageManifest(ctx context.Context, name string, opts RemoteOptions) ([]byte, error) {
	return e.images().RemoteManifest(ctx, name, opts)
}

// RemoteImageConfig returns its configuration, with raw as it is.
func (e *Engine) RemoteImageConfig(ctx context.Context, name string, raw bool, opts RemoteOptions) ([]byte, error) {
	return e.images().RemoteConfig(ctx, name, raw, opts)
}

// TrustPolicy lists what policy.json asks of images; with a registry, of those there.
func (e *Engine) TrustPolicy(ctx context.Context, registry string) ([]Trust, error) {
	return e.images().TrustShow(ctx, registry)
}

// TrustPolicyText returns policy.json as it is.
func (e *Engine) TrustPolicyText() ([]byte, error) { return e.images().PolicyText() }

// SetTrust changes policy.json.
func (e *Engine) SetTrust(ctx context.Context, setting TrustSetting) error {
	return e.images().TrustSet(ctx, setting)
}

// SignImage signs an image that is on a registry.
func (e *Engine) SignImage(ctx context.Context, name string, opts SignImageOptions) error {
	return e.images().SignImage(ctx, name, opts)
}

// SearchImages looks for images, or for the tags of a repository, on registries.
func (e *Engine) SearchImages(ctx context.Context, term string, opts SearchOptions) ([]FoundImage, error) {
	return e.images().Search(ctx, term, opts)
}

// SyncImages copies all images of a source, and returns how many it copied.
func (e *Engine) SyncImages(ctx context.Context, source, dest string, opts SyncOptions) (int, error) {
	return e.images().Sync(ctx, source, dest, opts)
}
