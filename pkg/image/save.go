package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containers/common/libimage"

	"vpod/pkg/wholefile"
)

// Format is what Save writes.
type Format string

// The formats of save --format.
const (
	DockerArchive Format = "docker-archive" // default; the only one that holds several images
	OCIArchive    Format = "oci-archive"
	OCIDir        Format = "oci-dir"
	DockerDir     Format = "docker-dir"
)

// Formats lists them in the order help shows them.
func Formats() []Format { return []Format{DockerArchive, OCIArchive, OCIDir, DockerDir} }

// SaveOptions say what to save as what.
type SaveOptions struct {
	Format Format // "" is DockerArchive

	// Names are the images; several need DockerArchive and Multi. Without Multi,
	// what follows the first are more tags for it.
	Names []string
	Multi bool

	// Output is the file or directory to make. An existing file that is not empty
	// is refused; it appears whole or not at all. Writer gets an archive instead
	// when Output is "".
	Output string
	Writer io.Writer

	Compress     bool      // the layers, in DockerDir
	Uncompressed bool      // leave the layers of OCI formats as they are
	Progress     io.Writer // as in PullOptions
}

// Save writes images to a file, a directory or a stream, as `podman save`.
func (s *Store) Save(ctx context.Context, opts SaveOptions) error {
	if err := opts.check(); err != nil {
		return err
	}
	rt, err := s.openBulk(ctx)
	if err != nil {
		return err
	}
	for _, name := range opts.images() { // before any file is made
		if _, _, err := find(rt, name, nil); err != nil {
			return explain(err)
		}
	}
	err = opts.write(rt.SystemContext().BigFilesTemporaryDir, func(path string) error {
		err := rt.Save(ctx, opts.images(), string(opts.Format), path, &libimage.SaveOptions{
			CopyOptions: libimage.CopyOptions{
				Writer:                      progressWriter(opts.Progress),
				DirForceCompress:            opts.Compress,
				OciAcceptUncompressedLayers: opts.Uncompressed,
				RemoveSignatures:            true, // the formats cannot hold them
			},
			AdditionalTags: opts.tags(),
		})
		if err == nil && opts.Format == DockerArchive {
			return checkArchiveEnd(path)
		}
		return err
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return explain(fmt.Errorf("save %s: %w", strings.Join(opts.images(), ", "), err))
}

// check refuses what cannot be meant, and fills in the default.
func (o *SaveOptions) check() error {
	if o.Format == "" {
		o.Format = DockerArchive
	}
	switch {
	case !slices.Contains(Formats(), o.Format):
		return fmt.Errorf("unknown format %q: use docker-archive, oci-archive, oci-dir or docker-dir", o.Format)
	case len(o.Names) == 0:
		return errors.New("no image named to save")
	case o.Multi && len(o.Names) > 1 && o.Format != DockerArchive:
		return fmt.Errorf("several images can only be saved as docker-archive, not as %s", o.Format)
	case !o.Multi && len(o.Names) > 1 && o.Format != DockerArchive:
		return fmt.Errorf("more tags can only be saved in docker-archive, not in %s", o.Format)
	case o.Compress && o.Format != DockerDir:
		return errors.New("--compress needs --format docker-dir: archives are not compressed")
	case o.Uncompressed && o.Format != OCIArchive && o.Format != OCIDir:
		return errors.New("--uncompressed needs --format oci-archive or oci-dir: docker-archive never compresses layers, docker-dir only with --compress")
	case o.Output == "" && (o.Format == OCIDir || o.Format == DockerDir):
		return fmt.Errorf("format %s makes a directory: name it with --output", o.Format)
	case o.Output == "" && o.Writer == nil:
		return errors.New("no output named to save to")
	}
	return nil
}

func (o *SaveOptions) images() []string {
	if o.Multi {
		return o.Names
	}
	return o.Names[:1]
}

func (o *SaveOptions) tags() []string {
	if o.Multi {
		return nil
	}
	return o.Names[1:]
}

// write has save make the output, which gets its name when it is whole. tmpdir is for
// archives that cannot be written where they are to be.
func (o *SaveOptions) write(tmpdir string, save func(path string) error) error {
	if o.Output == "" {
		return o.stream(o.Writer, tmpdir, save)
	}
	info, err := os.Stat(o.Output)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if o.Format == OCIDir || o.Format == DockerDir {
		if err == nil {
			return save(o.Output) // images are added to an OCI layout
		}
		return o.writeDir(save)
	}
	switch {
	case err != nil: // it is to be made
	case info.IsDir():
		return fmt.Errorf("%s is a directory, and %s makes a file", o.Output, o.Format)
	case info.Mode().IsRegular() && info.Size() > 0:
		return fmt.Errorf("%s is there already and not empty: remove it first", o.Output)
	}
	f, err := wholefile.Create(o.Output, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.Format == DockerArchive && f.Regular() {
		err = save(f.Path())
	} else { // the library wants the name an OCI archive is to have, and pipes have no end to check
		err = o.stream(f, tmpdir, save)
	}
	if err != nil {
		return err
	}
	return f.Publish()
}

// writeDir makes a directory under a passing name.
func (o *SaveOptions) writeDir(save func(path string) error) error {
	tmp, err := os.MkdirTemp(filepath.Dir(o.Output), ".vpod-save-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "image")
	if err := save(made); err != nil {
		return err
	}
	return os.Rename(made, o.Output)
}

// stream saves to a file and copies that to w: a tar archive of images cannot be
// written from the front to the end.
func (o *SaveOptions) stream(w io.Writer, tmpdir string, save func(path string) error) error {
	tmp, err := os.MkdirTemp(tmpdir, "vpod-save-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "image")
	if err := save(made); err != nil {
		return err
	}
	f, err := os.Open(made)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}

// checkArchiveEnd reports a tar archive without its end. libimage does not pass
// on the error of writing that, say that the disk is full.
func checkArchiveEnd(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	var end [1024]byte // two empty blocks
	if _, err := f.ReadAt(end[:], max(info.Size()-int64(len(end)), 0)); err != nil || end != [1024]byte{} {
		return errors.New("the archive was not written to its end: is the disk full?")
	}
	return nil
}
