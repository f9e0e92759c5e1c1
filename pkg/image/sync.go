package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/docker"
	"github.com/containers/image/v5/docker/reference"
	"github.com/containers/image/v5/transports"
	imgtypes "github.com/containers/image/v5/types"
)

// The ends of a synchronisation.
const (
	SyncDocker = "docker" // a registry, a repository, or an image of one
	SyncDir    = "dir"    // a directory with images, each in a directory of its own
	SyncYAML   = "yaml"   // a file that lists what is wanted of which registry; only as a source
)

// SyncOptions say what is synchronised, and how.
type SyncOptions struct {
	CopyOptions
	From, To  string // SyncDocker, SyncDir; From can be SyncYAML
	Scoped    bool   // keep the whole name of the source, not only its last part
	Suffix    string // appended to the names at the destination
	DryRun    bool   // only tell what would be copied
	KeepGoing bool   // go on after an image that cannot be copied
}

// syncGroup are images that are reached in one way.
type syncGroup struct {
	place Place
	refs  []imgtypes.ImageReference
	base  string // the directory they are in; "" for registries
}

// Sync copies all images of a source to a destination, and returns how many it
// copied, or with DryRun would have. The store takes no part.
func (s *Store) Sync(ctx context.Context, source, dest string, opts SyncOptions) (int, error) {
	if err := opts.check(); err != nil {
		return 0, err
	}
	groups, err := s.syncSource(ctx, source, opts)
	if err != nil {
		return 0, err
	}
	report := opts.Progress
	if report == nil {
		report = io.Discard
	}
	copied := 0
	var errs []error
	for _, g := range groups {
		one := opts.CopyOptions
		one.Source = g.place
		c, err := s.newCopier(one)
		if err != nil {
			return copied, err
		}
		for _, ref := range g.refs {
			err := syncOne(ctx, c, g, ref, dest, opts, report)
			if err == nil {
				copied++
				continue
			}
			errs = append(errs, err)
			if !opts.KeepGoing || ctx.Err() != nil {
				break
			}
		}
		c.close()
		if len(errs) > 0 && !opts.KeepGoing || ctx.Err() != nil {
			break
		}
	}
	return copied, errors.Join(errs...)
}

func (o SyncOptions) check() error {
	switch {
	case !slices.Contains([]string{SyncDocker, SyncDir, SyncYAML}, o.From):
		return fmt.Errorf("source transport %q: use docker, dir or yaml", o.From)
	case !slices.Contains([]string{SyncDocker, SyncDir}, o.To):
		return fmt.Errorf("destination transport %q: use docker or dir", o.To)
	case o.From == SyncDir && o.To == SyncDir:
		return errors.New("from directory to directory there is nothing to synchronise: use rsync(1)")
	}
	return nil
}

// syncOne copies one image to its place below dest.
func syncOne(ctx context.Context, c *copier, g syncGroup, ref imgtypes.ImageReference, dest string, opts SyncOptions, report io.Writer) error {
	name := path.Join(dest, syncSuffix(g, ref, opts.Scoped)) + opts.Suffix
	what := fmt.Sprintf("%s to %s:%s", transports.ImageName(ref), opts.To, name)
	if opts.DryRun {
		fmt.Fprintf(report, "Would copy %s\n", what)
		return nil
	}
	fmt.Fprintf(report, "Copying %s\n", what)
	dst, err := syncDestination(name, opts.To)
	if err != nil {
		return err
	}
	_, err = c.copy(ctx, ref, dst)
	if err != nil && opts.To == SyncDir {
		err = errors.Join(err, os.RemoveAll(name)) // it was made for this image
	}
	return err
}

// syncSuffix is the name of an image below the destination: what skopeo makes of
// it. A registry cannot choose a path with it, for references have no "..".
func syncSuffix(g syncGroup, ref imgtypes.ImageReference, scoped bool) string {
	suffix := ""
	if named := ref.DockerReference(); named != nil {
		suffix = named.String()
	} else if suffix = strings.TrimPrefix(ref.StringWithinTransport(), g.base); suffix == "" {
		suffix = path.Base(g.base) // the source is an image itself
	}
	if scoped {
		return suffix
	}
	return path.Base(suffix)
}

// syncDestination makes the place of one image.
func syncDestination(name, to string) (imgtypes.ImageReference, error) {
	if to == SyncDocker {
		ref, err := docker.ParseReference("//" + name)
		if err != nil {
			return nil, fmt.Errorf("destination %q: %w", name, err)
		}
		return ref, nil
	}
	if _, err := os.Stat(name); err == nil {
		return nil, fmt.Errorf("destination %s is there already: remove it first", name)
	}
	if err := os.MkdirAll(name, 0o755); err != nil {
		return nil, err
	}
	return directory.NewReference(name)
}

// syncSource finds the images of the source.
func (s *Store) syncSource(ctx context.Context, source string, opts SyncOptions) ([]syncGroup, error) {
	switch opts.From {
	case SyncDir:
		return syncDirectory(source, opts.Source)
	case SyncYAML:
		return s.syncListed(ctx, source, opts)
	}
	named, err := reference.ParseNormalizedNamed(source)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", source, err)
	}
	g := syncGroup{place: opts.Source}
	if !reference.IsNameOnly(named) {
		ref, err := docker.NewReference(named)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", source, err)
		}
		g.refs = append(g.refs, ref)
		return []syncGroup{g}, nil
	}
	g.refs, err = s.syncTags(ctx, named, opts, func(string) bool { return true })
	return []syncGroup{g}, err
}

// syncTags are the images of a repository whose tags are wanted.
func (s *Store) syncTags(ctx context.Context, repo reference.Named, opts SyncOptions, wanted func(tag string) bool) ([]imgtypes.ImageReference, error) {
	sys, err := s.context(opts.Source)
	if err != nil {
		return nil, err
	}
	any, err := docker.NewReference(reference.TagNameOnly(repo))
	if err != nil {
		return nil, err
	}
	var tags []string
	err = s.attempts(ctx, opts.Retry, func(ctx context.Context, _ chan imgtypes.ProgressProperties) (err error) {
		tags, err = docker.GetRepositoryTags(ctx, sys, any)
		return err
	})
	if err != nil {
		return nil, explain(fmt.Errorf("tags of %s: %w", repo.Name(), err))
	}
	var refs []imgtypes.ImageReference
	for _, tag := range tags {
		if !wanted(tag) {
			continue
		}
		tagged, err := reference.WithTag(repo, tag) // which refuses what is none
		if err != nil {
			return nil, fmt.Errorf("tag %q of %s: %w", tag, repo.Name(), err)
		}
		ref, err := docker.NewReference(tagged)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("%s has no tag that is wanted", repo.Name())
	}
	return refs, nil
}

// syncDirectory finds images below a directory: those with a manifest.
func syncDirectory(dir string, place Place) ([]syncGroup, error) {
	base, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if base, err = filepath.EvalSymlinks(base); err != nil {
		return nil, err
	}
	g := syncGroup{place: place, base: base}
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "manifest.json" {
			return err
		}
		ref, err := directory.NewReference(filepath.Dir(path))
		if err != nil {
			return err
		}
		g.refs = append(g.refs, ref)
		return filepath.SkipDir
	})
	if err == nil && len(g.refs) == 0 {
		err = fmt.Errorf("%s holds no image", dir)
	}
	return []syncGroup{g}, err
}
