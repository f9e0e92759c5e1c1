package template

import (
	"bytes"
	"encoding/binary"
)

// WarmProgram returns a program for x86-64 Linux that ends with status 0: an ELF
// file with one segment and three instructions. A template is warmed up with it, so
// that all of the guest's path to a running process is warm and none of its memory
// is spent on one.
func WarmProgram() []byte {
	code := []byte{
		0xb8, 0x3c, 0x00, 0x00, 0x00, // mov eax, 60 (exit)
		0x31, 0xff, // xor edi, edi
		0x0f, 0x05, // syscall
	}
	const (
		headers = 64 + 56 // ELF header and one program header
		base    = 0x400000
	)
	size := uint64(headers + len(code))
	var b bytes.Buffer
	b.Write([]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}) // 64 bit, little-endian
	for _, v := range []any{
		uint16(2), uint16(62), uint32(1), // executable, x86-64, version
		uint64(base + headers), uint64(64), uint64(0), uint32(0), // entry, program headers, no sections, flags
		uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0), // sizes and counts

		uint32(1), uint32(5), uint64(0), // load, readable and executable, from the file's beginning
		uint64(base), uint64(base), size, size, uint64(0x1000),
	} {
		_ = binary.Write(&b, binary.LittleEndian, v) // to memory: never fails
	}
	b.Write(code)
	return b.Bytes()
}
