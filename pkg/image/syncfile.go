package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/docker/reference"
	imgtypes "github.com/containers/image/v5/types"
	"github.com/opencontainers/go-digest"
	"gopkg.in/yaml.v3"
)

// maxSyncFile bounds what is read of a file that lists images, in bytes.
const maxSyncFile = 16 << 20

// syncFile lists what is wanted of which registry (skopeo-sync(1), "YAML file
// content").
type syncFile map[string]syncRegistry

type syncRegistry struct {
	Images   map[string][]string `yaml:"images"`              // tags and digests by repository; none is all tags
	ByRegexp map[string]string   `yaml:"images-by-tag-regex"` // by repository

	Credentials struct {
		Username string `yaml:"username"`
		Password string `yaml:"password"`
	} `yaml:"credentials"`
	TLSVerify *bool  `yaml:"tls-verify"`
	CertDir   string `yaml:"cert-dir"`
}

// parseSyncFile reads such a file. What it does not know is an error: an image
// that is left out unseen would be missed late.
func parseSyncFile(text []byte) (syncFile, error) {
	var file syncFile
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, name := range sortedKeys(file) {
		r := file[name]
		if len(r.Images) == 0 && len(r.ByRegexp) == 0 {
			return nil, fmt.Errorf("no images are named for registry %q", name)
		}
		for repo, expr := range r.ByRegexp {
			if _, err := regexp.Compile(expr); err != nil {
				return nil, fmt.Errorf("%s/%s: %w", name, repo, err)
			}
		}
	}
	if len(file) == 0 {
		return nil, errors.New("it names no registry")
	}
	return file, nil
}

// place is how a registry of the file is reached: as it says, else as the options.
func (r syncRegistry) place(p Place) Place {
	if r.Credentials.Username != "" {
		p.Creds = r.Credentials.Username + ":" + r.Credentials.Password
	}
	if r.TLSVerify != nil {
		p.TLSVerify = r.TLSVerify
	}
	if r.CertDir != "" {
		p.CertDir = r.CertDir
	}
	return p
}

// syncListed finds the images that a file lists.
func (s *Store) syncListed(ctx context.Context, path string, opts SyncOptions) ([]syncGroup, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSyncFile+1))
	if err == nil && len(text) > maxSyncFile {
		err = fmt.Errorf("longer than %d bytes", maxSyncFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := parseSyncFile(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var groups []syncGroup
	for _, name := range sortedKeys(file) {
		r := file[name]
		opts.Source = r.place(opts.Source)
		g := syncGroup{place: opts.Source}
		for _, repo := range sortedKeys(r.Images) {
			refs, err := s.syncNamed(ctx, name, repo, r.Images[repo], opts)
			if err != nil {
				return nil, err
			}
			g.refs = append(g.refs, refs...)
		}
		for _, repo := range sortedKeys(r.ByRegexp) {
			named, err := syncRepository(name, repo)
			if err != nil {
				return nil, err
			}
			refs, err := s.syncTags(ctx, named, opts, regexp.MustCompile(r.ByRegexp[repo]).MatchString)
			if err != nil {
				return nil, err
			}
			g.refs = append(g.refs, refs...)
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// syncRepository is the full name of a repository that a file lists.
func syncRepository(registry, repo string) (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(registry + "/" + repo)
	if err != nil {
		return nil, fmt.Errorf("repository %s/%s: %w", registry, repo, err)
	}
	if !reference.IsNameOnly(named) {
		return nil, fmt.Errorf("repository %s/%s: tags and digests go into its list", registry, repo)
	}
	return named, nil
}

// syncNamed are the images of a repository with these tags and digests; without
// any, all that have a tag.
func (s *Store) syncNamed(ctx context.Context, registry, repo string, versions []string, opts SyncOptions) ([]imgtypes.ImageReference, error) {
	named, err := syncRepository(registry, repo)
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return s.syncTags(ctx, named, opts, func(string) bool { return true })
	}
	var refs []imgtypes.ImageReference
	for _, version := range versions {
		var one reference.Named
		if d, digestErr := digest.Parse(version); digestErr == nil && strings.Contains(version, ":") {
			one, err = reference.WithDigest(named, d)
		} else {
			one, err = reference.WithTag(named, version)
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", version, named, err)
		}
		ref, err := docker.NewReference(one)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}
