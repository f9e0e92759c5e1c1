package image

import (
	"context"
	"fmt"

	"github.com/containers/common/libimage"
	"github.com/containers/storage/pkg/archive"
)

// Diff lists what the top layer of an image changes of the layers below it, or, with
// another image's name, what the image changes of that: each change is one letter, C, A
// or D, and an absolute path.
func (s *Store) Diff(ctx context.Context, name, other string) (changes []string, err error) {
	err = s.use(ctx, func(rt *libimage.Runtime) error {
		to, _, err := find(rt, name, nil)
		if err != nil {
			return err
		}
		below := ""
		if other != "" {
			from, _, err := find(rt, other, nil)
			if err != nil {
				return err
			}
			below = from.TopLayer()
		}
		all, err := s.store.Changes(below, to.TopLayer())
		if err != nil {
			return fmt.Errorf("compare image %s: %w", name, err)
		}
		for _, c := range all {
			changes = append(changes, letter(c.Kind)+c.Path)
		}
		return nil
	})
	return changes, explain(err)
}

// letter is how a kind of change is printed.
func letter(kind archive.ChangeType) string {
	switch kind {
	case archive.ChangeAdd:
		return "A"
	case archive.ChangeDelete:
		return "D"
	}
	return "C"
}
