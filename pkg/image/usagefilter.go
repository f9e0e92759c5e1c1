package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// usageFilter is the conditions "containers=…" of a list. libimage would answer
// them from the store alone, where vpod's containers are not.
type usageFilter []usageCondition

type usageCondition struct {
	want   string // "true", "false" or "external"
	negate bool
}

// storeUsers are the containers of the store that use one image.
type storeUsers struct {
	ours    int // vpod's layers; their containers are in vpod's database, too
	foreign int // of other tools
}

// splitUsage takes the conditions on containers out of a list of filters.
func splitUsage(filters []string) (usageFilter, []string, error) {
	var usage usageFilter
	var rest []string
	for _, f := range filters {
		c := usageCondition{}
		value, ok := strings.CutPrefix(f, "containers=")
		if !ok {
			if value, c.negate = strings.CutPrefix(f, "containers!="); !c.negate {
				rest = append(rest, f)
				continue
			}
		}
		if !slices.Contains([]string{"true", "false", "external"}, value) {
			return nil, nil, fmt.Errorf("unsupported value %q for containers filter: use true, false or external", value)
		}
		c.want = value
		usage = append(usage, c)
	}
	return usage, rest, nil
}

// chooses reports whether all conditions hold for an image.
func (u usageFilter) chooses(ctx context.Context, id string, store storeUsers, inUse func(context.Context, string) (int, error)) (bool, error) {
	if len(u) == 0 {
		return true, nil
	}
	ours := store.ours
	if inUse != nil {
		n, err := inUse(ctx, id)
		if err != nil {
			return false, fmt.Errorf("look for containers of image %s: %w", shortID(id), err)
		}
		ours += n
	}
	for _, c := range u {
		holds := false
		switch c.want {
		case "true":
			holds = ours+store.foreign > 0
		case "false":
			holds = ours+store.foreign == 0
		case "external": // as Podman has it, also for images that nobody uses
			holds = ours == 0
		}
		if holds == c.negate {
			return false, nil
		}
	}
	return true, nil
}

// usersByImage counts the containers of the store by the image they use.
func (s *Store) usersByImage() (map[string]storeUsers, error) {
	all, err := s.store.Containers()
	if err != nil {
		return nil, err
	}
	users := map[string]storeUsers{}
	for _, c := range all {
		u := users[c.ImageID]
		if _, ours := parseLayerMark(c.Metadata); ours {
			u.ours++
		} else {
			u.foreign++
		}
		users[c.ImageID] = u
	}
	return users, nil
}
