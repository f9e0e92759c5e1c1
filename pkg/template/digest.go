package template

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Digest is what a file of a template must be.
type Digest struct {
	SHA256    string `json:"sha256"` // of the pages that are not zero, each behind its offset
	SizeBytes int64  `json:"size"`
	DataBytes int64  `json:"data"` // of those pages
}

// pageBytes is the unit of a digest.
const pageBytes = 4096

// digest reads a file that may be sparse. It hashes, for each page that is not
// zero, the offset (a big-endian 64-bit number) and the page: where a file system
// has holes and where zeros makes no difference.
func digest(path string) (Digest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Digest{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Digest{}, err
	}
	d := Digest{SizeBytes: info.Size()}
	sum := sha256.New()
	block := make([]byte, 8+pageBytes)
	zero := make([]byte, pageBytes)
	in := bufio.NewReaderSize(nil, 1<<20)
	for at := int64(0); at < d.SizeBytes; {
		start, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // a hole up to the end
		}
		if err != nil {
			return Digest{}, fmt.Errorf("find data in %s: %w", path, err)
		}
		end, err := unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return Digest{}, fmt.Errorf("find holes in %s: %w", path, err)
		}
		start -= start % pageBytes
		in.Reset(io.NewSectionReader(f, start, end-start))
		for at = start; at < end; at += pageBytes {
			n, err := io.ReadFull(in, block[8:])
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return Digest{}, fmt.Errorf("read %s: %w", path, err)
			}
			if page := block[8 : 8+n]; !bytes.Equal(page, zero[:n]) {
				binary.BigEndian.PutUint64(block, uint64(at))
				sum.Write(block[:8+n])
				d.DataBytes += int64(n)
			}
		}
	}
	d.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return d, nil
}
