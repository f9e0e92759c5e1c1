package initramfs

import (
	"errors"
	"fmt"
	"io"
)

// File types in the mode field, as in stat(2).
const (
	modeRegular = 0o100000
	modeDir     = 0o040000
	modeChar    = 0o020000
)

// The newc format: Linux Documentation/driver-api/early-userspace/buffer-format.rst.
const (
	newcMagic     = "070701"
	newcAlign     = 4 // of the name's end and of the content's end
	newcTrailer   = "TRAILER!!!"
	newcHeaderLen = 110 // magic and 13 fields of 8 hexadecimal digits
)

// cpioWriter writes newc members one after the other. Inode numbers count from
// one; owner, group and modification time are always zero.
type cpioWriter struct {
	w       io.Writer
	lastIno uint32
	off     int64 // bytes written so far, for the padding
}

// add writes one member whose content is size bytes of r.
func (c *cpioWriter) add(e entry, r io.Reader, size int64) error {
	nlink := uint32(1)
	if e.mode&modeDir == modeDir {
		nlink = 2
	}
	c.lastIno++
	if err := c.header(c.lastIno, e, nlink, uint32(size)); err != nil {
		return err
	}
	if size == 0 {
		return nil
	}
	n, err := io.CopyN(c.w, r, size)
	c.off += n
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("content ended after %d of %d bytes: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return err
	}
	return c.pad()
}

// close writes the trailer, without which the kernel takes the archive for
// truncated. It does not close the underlying writer.
func (c *cpioWriter) close() error {
	return c.header(0, entry{name: newcTrailer}, 1, 0)
}

func (c *cpioWriter) header(ino uint32, e entry, nlink, size uint32) error {
	n, err := fmt.Fprintf(c.w, "%s%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		newcMagic, ino, e.mode,
		0, 0, // uid, gid
		nlink,
		0, // mtime
		size,
		0, 0, // number of the device the file came from
		e.major, e.minor,
		len(e.name)+1, // with its NUL
		0,             // checksum, unused in this variant
		e.name)
	c.off += int64(n)
	if err != nil {
		return err
	}
	return c.pad()
}

func (c *cpioWriter) pad() error {
	over := c.off % newcAlign
	if over == 0 {
		return nil
	}
	n, err := c.w.Write(make([]byte, newcAlign-over))
	c.off += int64(n)
	return err
}
