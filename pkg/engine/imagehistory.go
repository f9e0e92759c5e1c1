package engine

import (
	"context"

	"vpod/pkg/image"
)

// ImageHistory is one step of an image's making.
type ImageHistory = image.HistoryEntry

// ImageHistory returns the steps an image was made in, the last one first.
func (e *Engine) ImageHistory(ctx context.Context, name string) ([]ImageHistory, error) {
	return e.images().History(ctx, name)
}

// ImageTree draws an image's layers or, with children, what was built on it.
func (e *Engine) ImageTree(ctx context.Context, name string, children bool) (string, error) {
	return e.images().Tree(ctx, name, children)
}
