package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containers/common/libimage"
)

// Tag gives an image, or a manifest list, more names; short ones get the registry "localhost" and the
// tag "latest". A name another image has is taken from it.
func (s *Store) Tag(ctx context.Context, name string, newNames ...string) error {
	for _, n := range newNames { // all or none
		if _, err := libimage.NormalizeName(n); err != nil {
			return fmt.Errorf("tag %s: %w", name, err)
		}
	}
	return explain(s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, name, &libimage.LookupImageOptions{ManifestList: true})
		if err != nil {
			return err
		}
		for _, n := range newNames {
			if err := found.Tag(n); err != nil {
				return fmt.Errorf("tag %s: %w", name, err)
			}
		}
		return nil
	}))
}

// Untag takes names from an image, all of them when none is given. The image
// stays.
func (s *Store) Untag(ctx context.Context, name string, names ...string) error {
	return explain(s.use(ctx, func(rt *libimage.Runtime) error {
		found, _, err := find(rt, name, &libimage.LookupImageOptions{ManifestList: true})
		if err != nil {
			return err
		}
		if len(names) == 0 {
			names = slices.Clone(found.Names())
		}
		for _, n := range names {
			if err := found.Untag(n); err != nil {
				return fmt.Errorf("untag %s: %w", name, err)
			}
		}
		return nil
	}))
}

// isID reports whether a resolved name is an id, or the beginning of one, rather
// than a reference.
func isID(name string) bool {
	name = strings.TrimPrefix(name, "sha256:")
	return name != "" && len(name) <= 64 && strings.Trim(name, "0123456789abcdef") == ""
}
