package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// Offsets in an EROFS file: linux fs/erofs/erofs_fs.h, struct erofs_super_block.
const (
	erofsSuperOffset = 1024
	erofsMagic       = 0xE0F5E1E2
	erofsSuperSize   = 128
)

// errNotErofs reports a file that does not begin as an EROFS file does.
var errNotErofs = errors.New("not an EROFS file")

// checkErofs reports whether path is an EROFS file with all its blocks. It
// looks at the superblock and the length alone: a file reaches its final name
// only after it was written and synced, so what it guards against is another
// hand and a full or broken disk.
func checkErofs(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w: it is no regular file", path, errNotErofs)
	}
	var sb [erofsSuperSize]byte
	if _, err := f.ReadAt(sb[:], erofsSuperOffset); err != nil {
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%s: %w: it has only %d bytes", path, errNotErofs, info.Size())
		}
		return err
	}
	if binary.LittleEndian.Uint32(sb[0:]) != erofsMagic {
		return fmt.Errorf("%s: %w: the magic number is missing", path, errNotErofs)
	}
	bits := sb[12] // blkszbits
	if bits < 9 || bits > 16 {
		return fmt.Errorf("%s: %w: block size 2^%d", path, errNotErofs, bits)
	}
	if want := int64(binary.LittleEndian.Uint32(sb[36:])) << bits; info.Size() < want {
		return fmt.Errorf("%s: %w: it has %d of %d bytes", path, errNotErofs, info.Size(), want)
	}
	return nil
}
