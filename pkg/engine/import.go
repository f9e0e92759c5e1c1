package engine

import (
	"context"

	"vpod/pkg/image"
)

// ImportOptions say what image to make of an archive of files.
type ImportOptions = image.ImportOptions

// Import makes an image of an archive of files and returns its id.
func (e *Engine) Import(ctx context.Context, opts ImportOptions) (string, error) {
	return e.images().Import(ctx, opts)
}
