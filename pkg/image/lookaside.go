package image

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// lookasides are the places registries.d(5) names for signatures, by registry or
// part of one; "" is for all others.
type lookasides map[string]string

// lookasideDir is where they are written down: the user's, if there is one.
func lookasideDir() string {
	if home, err := os.UserHomeDir(); err == nil {
		own := filepath.Join(home, ".config/containers/registries.d")
		if _, err := os.Stat(own); err == nil {
			return own
		}
	}
	return "/etc/containers/registries.d"
}

// readLookasides reads all files of a directory, which need not be there.
func readLookasides(dir string) (lookasides, error) {
	type place struct {
		Lookaside string `yaml:"lookaside"`
		Sigstore  string `yaml:"sigstore"` // its old name
	}
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out := lookasides{}
	set := func(scope string, p place) {
		if p.Lookaside == "" {
			p.Lookaside = p.Sigstore
		}
		if p.Lookaside != "" {
			out[scope] = p.Lookaside
		}
	}
	for _, name := range names {
		if !strings.HasSuffix(name.Name(), ".yaml") {
			continue
		}
		path := filepath.Join(dir, name.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		var file struct {
			Default place            `yaml:"default-docker"`
			Docker  map[string]place `yaml:"docker"`
		}
		if err := yaml.Unmarshal(text, &file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		set("", file.Default)
		for scope, p := range file.Docker {
			set(scope, p)
		}
	}
	return out, nil
}

// of is the place for a scope: its own, or that of the nearest one it is in.
func (l lookasides) of(scope string) string {
	for scope != "" {
		if place, ok := l[scope]; ok {
			return place
		}
		i := strings.LastIndexAny(scope, "/:@")
		scope = scope[:max(i, 0)]
	}
	return l[""]
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
