package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"strings"

	"github.com/containers/common/libimage"
	"github.com/containers/image/v5/pkg/compression"
)

// ImportOptions say what image to make of an archive of files.
type ImportOptions struct {
	// Source is a file, the address (http or https) of one, or "-" for Stdin: a tar
	// archive, compressed or not.
	Source string
	Stdin  io.Reader

	Reference         string   // the image's name; "" is none
	Changes           []string // instructions of a Containerfile, as "CMD /bin/sh"
	Message           string   // comment of the one step of its history
	OS, Arch, Variant string   // "" is the machine's own

	Progress io.Writer // as in PullOptions
}

// Import makes an image of one layer from an archive of files and returns its id,
// 64 hex digits.
func (s *Store) Import(ctx context.Context, opts ImportOptions) (string, error) {
	if opts.Reference != "" { // before anything is unpacked
		if _, err := libimage.NormalizeName(opts.Reference); err != nil {
			return "", fmt.Errorf("import as %s: %w", opts.Reference, err)
		}
	}
	if err := checkChanges(opts.Changes); err != nil {
		return "", err
	}
	rt, err := s.openBulk(ctx)
	if err != nil {
		return "", err
	}
	f, err := opts.open(ctx, rt.SystemContext().BigFilesTemporaryDir)
	if err != nil {
		return "", fmt.Errorf("import: %w", err)
	}
	defer f.Close()
	if err := checkTar(f); err != nil {
		return "", fmt.Errorf("import %s: %w", opts.what(), err)
	}
	// By its descriptor: a colon in a path would end it.
	id, err := rt.Import(ctx, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), &libimage.ImportOptions{
		CopyOptions:   libimage.CopyOptions{Writer: progressWriter(opts.Progress), Variant: opts.Variant},
		Changes:       opts.Changes,
		CommitMessage: opts.Message,
		Tag:           opts.Reference,
		OS:            opts.OS,
		Arch:          opts.Arch,
	})
	switch {
	case err == nil:
		return strings.TrimPrefix(id, "sha256:"), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("import %s: %w", opts.what(), context.Cause(ctx))
	}
	return "", explain(fmt.Errorf("import %s: %w", opts.what(), plainCopyError(err)))
}

// what is what errors call the archive.
func (o *ImportOptions) what() string {
	if o.Source == "-" {
		return "standard input"
	}
	return o.Source
}

// checkTar looks at the beginning of what should be a tar archive.
func checkTar(f *os.File) error {
	unpack, r, err := compression.DetectCompression(io.NewSectionReader(f, 0, math.MaxInt64))
	if err != nil {
		return err
	}
	if unpack != nil {
		plain, err := unpack(r)
		if err != nil {
			return err
		}
		defer plain.Close()
		r = plain
	}
	switch _, err = tar.NewReader(r).Next(); {
	case errors.Is(err, io.EOF):
		return errors.New("the archive is empty")
	case err != nil:
		return fmt.Errorf("not a tar archive: %w", err)
	}
	return nil
}

// checkChanges refuses instructions that cannot be carried out.
func checkChanges(changes []string) error {
	config, err := libimage.ImageConfigFromChanges(changes)
	if err != nil {
		return err
	}
	if len(config.OnBuild) > 0 {
		return errors.New("ONBUILD: an imported image has OCI's format, which knows no such instruction")
	}
	return nil
}

// open returns the archive as a regular file, which is read more than once. What
// is read from elsewhere goes to a file in tmpdir that has no name any more.
func (o *ImportOptions) open(ctx context.Context, tmpdir string) (*os.File, error) {
	if o.Source == "-" {
		return spool(ctx, tmpdir, o.Stdin)
	}
	if u, err := url.ParseRequestURI(o.Source); err == nil && u.Scheme != "" {
		body, err := download(ctx, u)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		f, err := spool(ctx, tmpdir, body)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", u.Redacted(), err)
		}
		return f, nil
	}
	f, err := os.Open(o.Source)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.Mode().IsRegular():
		return f, nil
	case err == nil && info.IsDir():
		err = fmt.Errorf("%s is a directory, and not an archive of one", o.Source)
	case err == nil: // a pipe or a device
		var spooled *os.File
		if spooled, err = spool(ctx, tmpdir, f); err == nil {
			f.Close()
			return spooled, nil
		}
	}
	f.Close()
	return nil, err
}

// spool copies r to a file without a name.
func spool(ctx context.Context, tmpdir string, r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp(tmpdir, "vpod-import-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	if _, err := io.Copy(f, ctxReader{ctx, r}); err != nil {
		f.Close()
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	return f, nil
}
