package image

import (
	"context"
	"fmt"

	"github.com/containers/common/libimage"
)

// HistoryEntry is a step of an image's making, newest first, as `history` shows.
// Its texts are those of the image's configuration: whoever built it wrote them.
type HistoryEntry = libimage.ImageHistory

// History returns the steps an image was made in, newest first.
func (s *Store) History(ctx context.Context, name string) ([]HistoryEntry, error) {
	var steps []HistoryEntry
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, name, nil)
		if err != nil {
			return err
		}
		steps, err = found.History(ctx)
		if err != nil {
			return fmt.Errorf("history of image %s: %w", name, err)
		}
		return nil
	})
	return steps, explain(err)
}

// Tree draws the layers of an image, or, with children, the layers and images
// that were built on it.
func (s *Store) Tree(ctx context.Context, name string, children bool) (string, error) {
	var drawn string
	err := s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, name, nil)
		if err != nil {
			return err
		}
		if drawn, err = found.Tree(ctx, children); err != nil {
			return fmt.Errorf("tree of image %s: %w", name, err)
		}
		return nil
	})
	return drawn, explain(err)
}
