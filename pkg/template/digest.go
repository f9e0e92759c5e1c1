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
	return eachPage(f, func([]byte, int64) error { return nil })
}

// writeSparse writes what src holds to a new file at path, with holes for pages that
// are zero, and returns the digest of both.
func writeSparse(path string, src *os.File) (d Digest, err error) {
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	d, err = eachPage(src, func(page []byte, at int64) error {
		_, err := dst.WriteAt(page, at)
		return err
	})
	if err != nil {
		return d, err
	}
	return d, dst.Truncate(d.SizeBytes)
}

// eachPage calls use with every page of f that is not zero, and returns the digest.
func eachPage(f *os.File, use func(page []byte, at int64) error) (Digest, error) {
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
			return Digest{}, fmt.Errorf("find data in %s: %w", f.Name(), err)
		}
		end, err := unix.Seek(int(f.Fd()), start, unix.SEEK_HOLE)
		if err != nil {
			return Digest{}, fmt.Errorf("find holes in %s: %w", f.Name(), err)
		}
		start -= start % pageBytes
		in.Reset(io.NewSectionReader(f, start, end-start))
		for at = start; at < end; at += pageBytes {
			n, err := io.ReadFull(in, block[8:])
			if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return Digest{}, fmt.Errorf("read %s: %w", f.Name(), err)
			}
			page := block[8 : 8+n]
			if bytes.Equal(page, zero[:n]) {
				continue
			}
			binary.BigEndian.PutUint64(block, uint64(at))
			sum.Write(block[:8+n])
			d.DataBytes += int64(n)
			if err := use(page, at); err != nil {
				return Digest{}, err
			}
		}
	}
	d.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return d, nil
}
