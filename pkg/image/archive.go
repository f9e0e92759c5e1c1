package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/containers/image/v5/pkg/compression"
)

// kind is an archive's format.
type kind int

const (
	dockerArchive kind = iota
	ociArchive
)

// archiveKind looks into a tar archive for the file that says what it is. Docker
// since version 25 writes both formats into one archive; of those Docker's is
// taken, which names every image.
func archiveKind(file string) (kind, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	unpack, _, err := compression.DetectCompression(f)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNotAnImage, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	r := tar.NewReader(f) // seeks over what it does not read
	if unpack != nil {
		plain, err := unpack(f)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrNotAnImage, err)
		}
		defer plain.Close()
		r = tar.NewReader(plain)
	}
	oci, entries := false, 0
	for {
		h, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && oci:
			return ociArchive, nil
		case errors.Is(err, io.EOF) && entries > 0:
			return 0, fmt.Errorf("%w: the archive has neither manifest.json nor oci-layout", ErrNotAnImage)
		case errors.Is(err, io.EOF):
			return 0, fmt.Errorf("%w: the archive is empty", ErrNotAnImage)
		case err != nil && entries > 0:
			return 0, fmt.Errorf("the archive is damaged: %w", err)
		case err != nil:
			return 0, fmt.Errorf("%w: %w", ErrNotAnImage, err)
		}
		entries++
		switch path.Clean(h.Name) {
		case "manifest.json", "repositories":
			return dockerArchive, nil
		case "oci-layout":
			oci = true
		}
	}
}
