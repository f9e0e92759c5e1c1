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

// write has save make the output under a passing name, and gives it its own.
// tmpdir is for what is streamed.
func (o *SaveOptions) write(tmpdir string, save func(path string) error) (err error) {
	dir := o.Format == OCIDir || o.Format == DockerDir
	if o.Output == "" {
		return o.stream(tmpdir, save)
	}
	info, err := os.Stat(o.Output)
	switch {
	case err == nil && !dir && info.IsDir():
		return fmt.Errorf("%s is a directory, and %s makes a file", o.Output, o.Format)
	case err == nil && !info.Mode().IsRegular() && !dir:
		return save(o.Output) // a device or a pipe
	case err == nil && !dir && info.Size() > 0:
		return fmt.Errorf("%s is there already and not empty: remove it first", o.Output)
	case err == nil && dir:
		return save(o.Output) // images are added to an OCI layout
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
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

// stream saves to a file and copies that to the writer: a tar archive of images
// cannot be written from the front to the end.
func (o *SaveOptions) stream(tmpdir string, save func(path string) error) error {
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
	_, err = io.Copy(o.Writer, f)
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
