package qemu

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
)

// maxKernelBytes bounds a kernel file, packed and unpacked. Distributions' unpacked kernels have 50 to 80 MB.
const maxKernelBytes = 512 << 20

// Offsets in the real-mode header of a bzImage (Linux, Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").
const (
	offSetupSects    = 0x1f1
	offMagic         = 0x202 // "HdrS"
	offVersion       = 0x206 // protocol version; the payload is described since 2.08
	offPayload       = 0x248 // from the start of the protected-mode code
	offPayloadLength = 0x24c
	headerBytes      = 0x250
)

// unpackBzImage returns the ELF vmlinux inside a bzImage.
func unpackBzImage(r io.ReaderAt) ([]byte, error) {
	header := make([]byte, headerBytes)
	if _, err := r.ReadAt(header, 0); err != nil {
		return nil, errors.New("neither an ELF vmlinux nor a bzImage")
	}
	if string(header[offMagic:offMagic+4]) != "HdrS" {
		return nil, errors.New("neither an ELF vmlinux nor a bzImage")
	}
	if v := binary.LittleEndian.Uint16(header[offVersion:]); v < 0x208 {
		return nil, fmt.Errorf("boot protocol %d.%02d is older than 2.08 (Linux 2.6.26)", v>>8, v&0xff)
	}
	sectors := int64(header[offSetupSects])
	if sectors == 0 {
		sectors = 4 // "for backwards compatibility"
	}
	start := (sectors+1)*512 + int64(binary.LittleEndian.Uint32(header[offPayload:]))
	length := int64(binary.LittleEndian.Uint32(header[offPayloadLength:]))
	if length < 16 || length > maxKernelBytes {
		return nil, fmt.Errorf("payload of %d bytes", length)
	}
	payload := make([]byte, length)
	if _, err := r.ReadAt(payload, start); err != nil {
		return nil, errors.New("file is cut off")
	}
	return unpack(payload)
}

// unpack decompresses a kernel's payload. The build appends the unpacked size to most formats; gzip has it anyway.
func unpack(payload []byte) ([]byte, error) {
	src := bytes.NewReader(payload)
	var plain io.Reader
	var err error
	format := payloadFormat(payload)
	switch format {
	case "lz4":
		out, err := unpackLZ4(payload)
		if err != nil {
			return nil, fmt.Errorf("lz4: %w", err)
		}
		return out, nil
	case "gzip":
		plain, err = gzipReader(src)
	case "xz":
		plain, err = newXZReader(src)
	case "zstd":
		var z *zstd.Decoder
		// The kernel is packed with a window as large as itself (zstd --ultra -22).
		z, err = zstd.NewReader(src, zstd.WithDecoderMaxWindow(maxKernelBytes), zstd.WithDecoderConcurrency(1))
		if err == nil {
			defer z.Close()
		}
		plain = z
	case "lzma":
		plain, err = lzma.NewReader(src)
	case "bzip2":
		plain = bzip2.NewReader(src)
	case "none":
		plain = src
	default:
		return nil, fmt.Errorf("packed with %s, which vpod cannot unpack: unpack it with Linux's scripts/extract-vmlinux", format)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(plain, maxKernelBytes+1))
	if n > maxKernelBytes {
		return nil, fmt.Errorf("%s: unpacks to more than %d bytes", format, maxKernelBytes)
	}
	// Behind the stream stands the appended size, which some readers take for a broken second stream.
	if err != nil && !wholeELF(out.Bytes(), payload) {
		return nil, fmt.Errorf("%s: %w", format, err)
	}
	return out.Bytes(), nil
}

// wholeELF reports whether plain has the size that the kernel's build has appended to payload.
func wholeELF(plain, payload []byte) bool {
	return len(plain) > 0 && uint32(len(plain)) == binary.LittleEndian.Uint32(payload[len(payload)-4:])
}

// gzipReader reads one stream and leaves what stands behind it.
func gzipReader(src io.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(src)
	if err != nil {
		return nil, err
	}
	z.Multistream(false)
	return z, nil
}

// payloadFormat names the compression by its magic bytes (Linux, lib/decompress.c).
func payloadFormat(b []byte) string {
	for _, f := range []struct{ magic, name string }{
		{"\x1f\x8b", "gzip"},
		{"\xfd7zXZ\x00", "xz"},
		{"\x28\xb5\x2f\xfd", "zstd"},
		{"\x5d\x00\x00", "lzma"},
		{"BZh", "bzip2"},
		{"\x02\x21\x4c\x18", "lz4"},
		{"\x89LZO", "lzo"},
		{"\x7fELF", "none"},
	} {
		if bytes.HasPrefix(b, []byte(f.magic)) {
			return f.name
		}
	}
	return "an unknown format"
}
