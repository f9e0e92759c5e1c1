package qemu

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// lz4BlockBytes is the most one block unpacks to (Linux, lib/decompress_unlz4.c, LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE).
const lz4BlockBytes = 8 << 20

var errLZ4 = errors.New("block is malformed")

// unpackLZ4 unpacks the legacy lz4 frames of a kernel's payload: a magic number, then blocks, each behind its length,
// and at the end the unpacked size that the build appends. Debian's kernels are packed so, and no library that vpod
// has anyway knows the format.
func unpackLZ4(payload []byte) ([]byte, error) {
	const magicBytes, sizeBytes = 4, 4
	if len(payload) < magicBytes+sizeBytes {
		return nil, errors.New("stream is cut off")
	}
	size := binary.LittleEndian.Uint32(payload[len(payload)-sizeBytes:])
	if size > maxKernelBytes {
		return nil, fmt.Errorf("unpacks to more than %d bytes", maxKernelBytes)
	}
	src := payload[magicBytes : len(payload)-sizeBytes]
	var out []byte
	for len(src) > 0 {
		if len(src) < sizeBytes {
			return nil, errors.New("stream is cut off")
		}
		n := binary.LittleEndian.Uint32(src)
		src = src[sizeBytes:]
		if uint64(n) > uint64(len(src)) {
			return nil, errors.New("stream is cut off")
		}
		var err error
		if out, err = appendLZ4Block(out, src[:n]); err != nil {
			return nil, err
		}
		if len(out) > int(size) {
			break
		}
		src = src[n:]
	}
	if len(out) != int(size) {
		return nil, fmt.Errorf("unpacks to %d bytes, not %d", len(out), size)
	}
	return out, nil
}

// appendLZ4Block unpacks one block behind out (lz4_Block_format.md): sequences of a token, literals, and a match in
// what this block has unpacked so far; the last one ends after its literals.
func appendLZ4Block(out, src []byte) ([]byte, error) {
	start := len(out)
	// length reads the rest of a length whose first four bits are n.
	length := func(n int) (int, bool) {
		if n < 15 {
			return n, true
		}
		for len(src) > 0 {
			b := src[0]
			src = src[1:]
			n += int(b)
			if b < 255 {
				return n, true
			}
		}
		return 0, false
	}
	for len(src) > 0 {
		token := src[0]
		src = src[1:]
		literals, ok := length(int(token >> 4))
		if !ok || literals > len(src) {
			return nil, errLZ4
		}
		out = append(out, src[:literals]...)
		src = src[literals:]
		if len(src) == 0 {
			break
		}
		if len(src) < 2 {
			return nil, errLZ4
		}
		offset := int(binary.LittleEndian.Uint16(src))
		src = src[2:]
		match, ok := length(int(token & 15))
		if !ok || offset == 0 || offset > len(out)-start {
			return nil, errLZ4
		}
		match += 4 // the shortest
		if len(out)-start+match > lz4BlockBytes {
			return nil, errLZ4
		}
		// A match may overlap what it makes: then it repeats.
		for match > 0 {
			n := min(match, offset)
			out = append(out, out[len(out)-offset:len(out)-offset+n]...)
			match -= n
		}
	}
	return out, nil
}
