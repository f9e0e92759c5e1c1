package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/containers/common/libimage"
	dirtransport "github.com/containers/image/v5/directory"
	"github.com/containers/image/v5/docker/archive"
	ociarchive "github.com/containers/image/v5/oci/archive"
	"github.com/containers/image/v5/oci/layout"
	"github.com/containers/image/v5/types"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrNotAnImage reports a file or directory in none of the formats Load reads.
var ErrNotAnImage = errors.New("not an image archive or directory")

// Load takes the images in an archive (Docker's or OCI's, compressed or not) or
// a directory (OCI layout, or containers/image's dir) into the store and returns
// their names, or "sha256:ID" for one without. progress is as in PullOptions.
// path may also be the address (http or https) of an archive.
func (s *Store) Load(ctx context.Context, path string, progress io.Writer) ([]string, error) {
	if u, err := url.Parse(path); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		body, err := download(ctx, u)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		defer body.Close()
		return s.loadStream(ctx, body, u.Redacted(), progress)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	path, err = filepath.Abs(path) // the transports cut names at colons, not at these
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("load: %w", err)
		}
		defer f.Close()
		return s.loadStream(ctx, f, path, progress)
	}
	rt, err := s.openBulk(ctx)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return s.loadDir(ctx, rt, path, progress)
	}
	return s.loadArchive(ctx, rt, path, path, progress)
}

// LoadReader is Load of an archive that is read from r to its end.
func (s *Store) LoadReader(ctx context.Context, r io.Reader, progress io.Writer) ([]string, error) {
	return s.loadStream(ctx, r, "standard input", progress)
}

// loadStream is LoadReader of what errors call source.
func (s *Store) loadStream(ctx context.Context, r io.Reader, source string, progress io.Writer) ([]string, error) {
	rt, err := s.openBulk(ctx)
	if err != nil {
		return nil, err
	}
	// Archives are read in any order. The store's own place for big files is
	// large enough; /tmp may be memory.
	tmp, err := os.CreateTemp(rt.SystemContext().BigFilesTemporaryDir, "vpod-load-")
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := io.Copy(tmp, ctxReader{ctx, r}); err != nil {
		return nil, fmt.Errorf("load %s: %w", source, err)
	}
	return s.loadArchive(ctx, rt, tmp.Name(), source, progress)
}

// ctxReader reads until its context ends.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// loadArchive loads a regular file: Docker's format when it has Docker's index,
// which alone tells of several images; else OCI's. Errors call it source.
func (s *Store) loadArchive(ctx context.Context, rt *libimage.Runtime, path, source string, progress io.Writer) ([]string, error) {
	ociRef, ociErr := ociarchive.NewReference(path, "")
	dockerRef, dockerErr := archive.NewReference(path, nil)
	if err := errors.Join(ociErr, dockerErr); err != nil {
		return nil, fmt.Errorf("load %s: %w", source, err)
	}
	kind, err := archiveKind(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", source, err)
	}
	if kind == ociArchive {
		return s.loadReference(ctx, rt, ociRef, source, progress)
	}
	return s.loadReference(ctx, rt, dockerRef, source, progress)
}

// loadDir loads a directory.
func (s *Store) loadDir(ctx context.Context, rt *libimage.Runtime, path string, progress io.Writer) ([]string, error) {
	if _, err := os.Stat(filepath.Join(path, "oci-layout")); err == nil {
		return s.loadLayout(ctx, rt, path, progress)
	}
	if _, err := os.Stat(filepath.Join(path, "manifest.json")); err != nil {
		return nil, fmt.Errorf("load %s: %w: it has neither oci-layout nor manifest.json", path, ErrNotAnImage)
	}
	ref, err := dirtransport.NewReference(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	return s.loadReference(ctx, rt, ref, path, progress)
}

// loadLayout loads every image of an OCI layout.
func (s *Store) loadLayout(ctx context.Context, rt *libimage.Runtime, path string, progress io.Writer) ([]string, error) {
	all, err := layout.List(path)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	var names []string
	for i, one := range all {
		ref := one.Reference
		if one.ManifestDescriptor.Annotations[ociv1.AnnotationRefName] == "" {
			if len(all) > 1 {
				return names, fmt.Errorf("load %s: the layout holds %d images, and number %d has no name (annotation %s)", path, len(all), i+1, ociv1.AnnotationRefName)
			}
			if ref, err = layout.NewReference(path, ""); err != nil {
				return names, fmt.Errorf("load %s: %w", path, err)
			}
		}
		loaded, err := s.loadReference(ctx, rt, ref, path, progress)
		if err != nil {
			return names, err
		}
		names = append(names, loaded...)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("load %s: %w: the layout lists none", path, ErrNotAnImage)
	}
	return names, nil
}

func (s *Store) loadReference(ctx context.Context, rt *libimage.Runtime, ref types.ImageReference, source string, progress io.Writer) ([]string, error) {
	names, err := rt.LoadReference(ctx, ref, &libimage.LoadOptions{CopyOptions: libimage.CopyOptions{Writer: progressWriter(progress)}})
	switch {
	case err == nil:
		return names, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("load %s: %w", source, context.Cause(ctx))
	}
	return nil, explain(fmt.Errorf("load %s: %w", source, plainCopyError(err)))
}
