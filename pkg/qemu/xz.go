package qemu

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

// Filter ids of the xz format (xz-file-format.txt, 5.3 "Filter IDs").
const (
	filterX86   = 0x04
	filterLZMA2 = 0x21
)

// newXZReader reads the first block of an xz stream, which is all a kernel has. The library's own xz reader does not
// know the x86 filter, with which every x86 kernel is packed (Linux, scripts/xz_wrap.sh); its LZMA2 reader is used.
// The integrity check behind the block is the caller's loss: whoever unpacks a kernel checks the ELF file and its
// size.
func newXZReader(src io.Reader) (io.Reader, error) {
	r := bufio.NewReader(src)
	const streamHeader = 12
	if _, err := r.Discard(streamHeader); err != nil {
		return nil, errors.New("stream is cut off")
	}
	first, err := r.Peek(1)
	if err != nil {
		return nil, errors.New("stream is cut off")
	}
	if first[0] == 0 {
		return nil, errors.New("stream has no block")
	}
	header := make([]byte, (int(first[0])+1)*4)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, errors.New("block header is cut off")
	}
	body, sum := header[:len(header)-4], binary.LittleEndian.Uint32(header[len(header)-4:])
	if crc32.ChecksumIEEE(body) != sum {
		return nil, errors.New("block header is damaged")
	}
	filters, dictBytes, err := blockFilters(body)
	if err != nil {
		return nil, err
	}
	plain, err := lzma.Reader2Config{DictCap: dictBytes}.NewReader2(r)
	if err != nil {
		return nil, err
	}
	switch {
	case len(filters) == 1 && filters[0] == filterLZMA2:
		return plain, nil
	case len(filters) == 2 && filters[0] == filterX86 && filters[1] == filterLZMA2:
		return newX86Reader(plain), nil
	default:
		return nil, fmt.Errorf("filters %#x are not those of an x86 kernel", filters)
	}
}

// blockFilters reads the filter chain from a block header: size, flags, optional sizes, filters (3.1 "Block Header").
func blockFilters(header []byte) (filters []uint64, dictBytes int, err error) {
	damaged := errors.New("block header is malformed")
	flags := header[1]
	r := bytes.NewReader(header[2:])
	for _, present := range []byte{0x40, 0x80} { // compressed size, uncompressed size
		if flags&present != 0 {
			if _, err := binary.ReadUvarint(r); err != nil {
				return nil, 0, damaged
			}
		}
	}
	for range int(flags&3) + 1 {
		id, err := binary.ReadUvarint(r)
		if err != nil {
			return nil, 0, damaged
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || size > uint64(r.Len()) {
			return nil, 0, damaged
		}
		props := make([]byte, size)
		if _, err := io.ReadFull(r, props); err != nil {
			return nil, 0, damaged
		}
		switch {
		case id == filterLZMA2 && size == 1:
			// 5.3.1: 2 or 3 times a power of two.
			bits := int(props[0])
			if bits > 36 {
				return nil, 0, fmt.Errorf("dictionary size %d is too large", bits)
			}
			dictBytes = (2 | bits&1) << (bits/2 + 11)
			if dictBytes > maxKernelBytes {
				return nil, 0, fmt.Errorf("dictionary of %d bytes is too large", dictBytes)
			}
		case id == filterLZMA2 || id == filterX86 && size != 0:
			return nil, 0, damaged
		}
		filters = append(filters, id)
	}
	return filters, dictBytes, nil
}

// x86Reader undoes the x86 filter: the packer has turned the relative targets of CALL (E8) and JMP (E9) into absolute
// ones. After bcj_x86 of xz-embedded (linux/lib/xz/xz_dec_bcj.c, public domain).
type x86Reader struct {
	src      io.Reader
	buf      []byte // filtered up to ready, then bytes still to filter
	ready    int
	pos      uint32 // of buf[0] in the stream
	prevMask uint32
	err      error // of src, once it has ended
}

func newX86Reader(src io.Reader) *x86Reader { return &x86Reader{src: src} }

func (r *x86Reader) Read(p []byte) (int, error) {
	for r.ready == 0 {
		if r.err != nil {
			if len(r.buf) == 0 {
				return 0, r.err
			}
			r.ready = len(r.buf) // the last four bytes cannot hold a whole instruction: they are as they are
			break
		}
		chunk := make([]byte, 64<<10)
		n, err := io.ReadFull(r.src, chunk)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		r.buf, r.err = append(r.buf, chunk[:n]...), err
		r.ready = r.filter()
	}
	n := copy(p, r.buf[:r.ready])
	r.buf, r.ready, r.pos = r.buf[n:], r.ready-n, r.pos+uint32(n)
	return n, nil
}

// filter converts buf in place as far as whole instructions reach and returns how far that is. It is called with
// nothing in buf that was filtered before.
func (r *x86Reader) filter() int {
	plausible := func(b byte) bool { return b == 0x00 || b == 0xff }
	allowed := [8]bool{true, true, true, false, true}
	bit := [8]uint32{0, 1, 2, 2, 3, 3, 3, 3}
	buf := r.buf
	if len(buf) <= 4 {
		return 0
	}
	size := len(buf) - 4
	prev, mask := -1, r.prevMask
	i := 0
	for ; i < size; i++ {
		if buf[i]&0xfe != 0xe8 {
			continue
		}
		if gap := i - prev; gap > 3 {
			mask = 0
		} else {
			mask = mask << (gap - 1) & 7
			if mask != 0 && (!allowed[mask] || plausible(buf[i+4-int(bit[mask])])) {
				prev, mask = i, mask<<1|1
				continue
			}
		}
		prev = i
		if !plausible(buf[i+4]) {
			mask = mask<<1 | 1
			continue
		}
		src := binary.LittleEndian.Uint32(buf[i+1:])
		var dest uint32
		for {
			dest = src - (r.pos + uint32(i) + 5)
			if mask == 0 {
				break
			}
			j := bit[mask] * 8
			if !plausible(byte(dest >> (24 - j))) {
				break
			}
			src = dest ^ (1<<(32-j) - 1)
		}
		dest &= 0x01ffffff
		dest |= -(dest & 0x01000000)
		binary.LittleEndian.PutUint32(buf[i+1:], dest)
		i += 4
	}
	// How many of the bytes left over were part of a candidate.
	if gap := i - prev; gap > 3 {
		r.prevMask = 0
	} else {
		r.prevMask = mask << (gap - 1)
	}
	return i
}
