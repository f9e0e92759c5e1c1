package engine

import (
	"context"
	"encoding/json"

	"vpod/pkg/image"
)

// What is asked of manifest lists.
type (
	ListEntry         = image.ListEntry
	CreateListOptions = image.CreateListOptions
	AddToListOptions  = image.AddToListOptions
)

// CreateList makes a manifest list and returns its id.
func (e *Engine) CreateList(ctx context.Context, name string, opts CreateListOptions) (string, error) {
	return e.images().CreateList(ctx, name, opts)
}

// AddToList adds images to a manifest list and returns its id.
func (e *Engine) AddToList(ctx context.Context, name string, images []string, opts AddToListOptions) (string, error) {
	return e.images().AddToList(ctx, name, images, opts)
}

// DescribeInList changes what a manifest list says of an image, and returns the
// list's id.
func (e *Engine) DescribeInList(ctx context.Context, name, image string, entry ListEntry) (string, error) {
	return e.images().DescribeInList(ctx, name, image, entry)
}

// RemoveFromList takes an image out of a manifest list and returns the list's id.
func (e *Engine) RemoveFromList(ctx context.Context, name, image string) (string, error) {
	return e.images().RemoveFromList(ctx, name, image)
}

// ListExists reports whether there is a manifest list by that name.
func (e *Engine) ListExists(ctx context.Context, name string) (bool, error) {
	return e.images().ListExists(ctx, name)
}

// InspectList returns the JSON of a manifest list, or of a registry's manifest.
func (e *Engine) InspectList(ctx context.Context, name string, access RegistryAccess) (json.RawMessage, error) {
	return e.images().InspectList(ctx, name, access)
}
