package qemu

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"
)

// fakeVmlinux is an ELF program with one note and code-like content.
func fakeVmlinux(machine elf.Machine, noteType uint32, content []byte) []byte {
	var note bytes.Buffer
	binary.Write(&note, binary.LittleEndian, []uint32{4, 8, 6}) // some other Xen note before it
	note.WriteString("Xen\x00linux\x00\x00\x00")
	binary.Write(&note, binary.LittleEndian, []uint32{4, 4, noteType})
	note.WriteString("Xen\x00\x00\x00\x00\x01")

	var out bytes.Buffer
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = 2, 1, 1
	binary.Write(&out, binary.LittleEndian, header)
	binary.Write(&out, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_NOTE), Off: 120, Filesz: uint64(note.Len()), Memsz: uint64(note.Len())})
	out.Write(note.Bytes())
	out.Write(content)
	return out.Bytes()
}

// codeLike is content full of what the x86 filter looks at: CALLs, JMPs and plausible addresses. The same bytes for
// the same n.
func codeLike(n int) []byte {
	out := make([]byte, n)
	state := uint32(1)
	for i := range out {
		state = state*1664525 + 1013904223
		out[i] = []byte{0xe8, 0xe9, 0x00, 0xff, 0x01, byte(state >> 8)}[state>>24%6]
	}
	return out
}

// fakeBzImage wraps a payload as a kernel build does.
func fakeBzImage(payload []byte) []byte {
	const sectors, payloadOffset = 3, 0x40
	out := make([]byte, (sectors+1)*512+payloadOffset)
	out[offSetupSects] = sectors
	copy(out[offMagic:], "HdrS")
	binary.LittleEndian.PutUint16(out[offVersion:], 0x20f)
	binary.LittleEndian.PutUint32(out[offPayload:], payloadOffset)
	binary.LittleEndian.PutUint32(out[offPayloadLength:], uint32(len(payload)))
	return append(append(out, payload...), "trailing code and data"...)
}

// withSize appends the unpacked size, as the build does for every format but gzip.
func withSize(packed, plain []byte) []byte {
	return binary.LittleEndian.AppendUint32(packed, uint32(len(plain)))
}

func packGzip(t *testing.T, plain []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packZstd(t *testing.T, plain []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return withSize(w.EncodeAll(plain, nil), plain)
}

func packLZMA(t *testing.T, plain []byte) []byte {
	var b bytes.Buffer
	w, err := lzma.WriterConfig{EOSMarker: true}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return withSize(b.Bytes(), plain)
}

// packWith runs the packer that the kernel's build runs.
func packWith(name string, args ...string) func(*testing.T, []byte) []byte {
	return func(t *testing.T, plain []byte) []byte {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no %s here", name)
		}
		cmd := exec.Command(name, args...)
		cmd.Stdin = bytes.NewReader(plain)
		packed, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return withSize(packed, plain)
	}
}

func TestPrepareKernelUnpacks(t *testing.T) {
	vmlinux := fakeVmlinux(elf.EM_X86_64, pvhNote, codeLike(600<<10))
	tests := []struct {
		name string
		pack func(*testing.T, []byte) []byte
	}{
		{"gzip", packGzip},
		{"zstd", packZstd},
		{"zstd of the build", packWith("zstd", "-q", "-19", "--ultra", "-c")},
		{"lzma", packLZMA},
		{"xz of the build", packWith("xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB", "-c")},
		{"xz without filter", packWith("xz", "--check=crc32", "--lzma2", "-c")},
		{"bzip2", packWith("bzip2", "-c")},
		{"lz4 of the build", packWith("lz4", "-l", "-9", "-c")},
		{"not packed", func(_ *testing.T, plain []byte) []byte { return plain }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			image := filepath.Join(dir, "bzImage")
			write(t, image, fakeBzImage(tt.pack(t, vmlinux)))
			var asked string
			got, err := PrepareKernel(image, func(sum string) string { asked = sum; return filepath.Join(dir, "vmlinux") })
			if err != nil {
				t.Fatal(err)
			}
			if unpacked := read(t, got); !bytes.Equal(unpacked, vmlinux) {
				t.Errorf("unpacked %d bytes differ from the %d packed", len(unpacked), len(vmlinux))
			}
			if sum := sha256.Sum256(read(t, image)); hex.EncodeToString(sum[:]) != asked {
				t.Errorf("cache asked for %s, hash is %x", asked, sum)
			}
			// The second time nothing is unpacked.
			write(t, got, []byte("kept"))
			if again, err := PrepareKernel(image, func(string) string { return got }); err != nil || string(read(t, again)) != "kept" {
				t.Errorf("second call: %v, content %.20q", err, read(t, again))
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != 2 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

// TestXZAgainstStoredSample needs no xz on the host.
func TestXZAgainstStoredSample(t *testing.T) {
	plain, err := unpack(read(t, "testdata/codelike.xz"))
	if err != nil {
		t.Fatal(err)
	}
	if want := codeLike(8 << 10); !bytes.Equal(plain, want) {
		t.Errorf("unpacked %d bytes differ from the %d packed", len(plain), len(want))
	}
}

func TestLZ4Blocks(t *testing.T) {
	tests := []struct {
		name, packed, want string
		fails              bool
	}{
		{"literals", "\x30abc", "abc", false},
		{"match", "\x31abc\x03\x00\x00", "abcabcab", false},
		{"overlapping match", "\x1fa\x01\x00\x01\x00", strings.Repeat("a", 21), false},
		{"long literals", "\xf0\x05" + strings.Repeat("x", 20), strings.Repeat("x", 20), false},
		{"very long literals", "\xf0\xff\x00" + strings.Repeat("x", 270), strings.Repeat("x", 270), false},
		{"literals cut off", "\x50abc", "", true},
		{"length cut off", "\xf0\xff", "", true},
		{"offset cut off", "\x11a\x01", "", true},
		{"match length cut off", "\x1fa\x01\x00\xff", "", true},
		{"offset zero", "\x11a\x00\x00\x00", "", true},
		{"offset before the block", "\x11a\x02\x00\x00", "", true},
		{"bomb", "\x1fa\x01\x00" + strings.Repeat("\xff", 40000) + "\x00", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := appendLZ4Block([]byte("before"), []byte(tt.packed))
			if tt.fails != (err != nil) || !tt.fails && string(got) != "before"+tt.want {
				t.Errorf("unpacked %.40q, %v; want %.40q", got, err, tt.want)
			}
		})
	}
	t.Run("stream", func(t *testing.T) {
		got, err := unpackLZ4([]byte("\x02\x21\x4c\x18" + "\x04\x00\x00\x00\x30abc" + "\x03\x00\x00\x00\x20de" + "\x05\x00\x00\x00"))
		if err != nil || string(got) != "abcde" {
			t.Errorf("unpacked %q, %v", got, err)
		}
		if _, err := unpackLZ4([]byte("\x02\x21\x4c\x18" + "\x04\x00\x00\x00\x30abc" + "\x09\x00\x00\x00")); err == nil {
			t.Error("a wrong size went unnoticed")
		}
	})
}

func TestPrepareKernelTakesAnELFAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vmlinux")
	write(t, path, fakeVmlinux(elf.EM_X86_64, pvhNote, nil))
	got, err := PrepareKernel(path, func(string) string { t.Error("cache asked"); return "" })
	if err != nil || got != path {
		t.Errorf("PrepareKernel = %q, %v; want %q", got, err, path)
	}
}

func TestPrepareKernelRefuses(t *testing.T) {
	good := fakeVmlinux(elf.EM_X86_64, pvhNote, codeLike(1000))
	packed := packZstd(t, good)
	tests := []struct {
		name    string
		file    []byte
		problem string
	}{
		{"empty file", nil, "is too short"},
		{"text", []byte("#!/bin/sh\necho not a kernel\n"), "neither an ELF vmlinux nor a bzImage"},
		{"long text", bytes.Repeat([]byte("text "), 1000), "neither an ELF vmlinux nor a bzImage"},
		{"ELF without PVH", fakeVmlinux(elf.EM_X86_64, 1, nil), "CONFIG_PVH=y"},
		{"ELF of another machine", fakeVmlinux(elf.EM_AARCH64, pvhNote, nil), "EM_AARCH64"},
		{"ELF cut off", good[:130], "cut off"},
		{"ELF header alone", good[:20], "no valid ELF"},
		{"bzImage without PVH", fakeBzImage(packGzip(t, fakeVmlinux(elf.EM_X86_64, 1, nil))), "CONFIG_PVH=y"},
		{"bzImage cut off", fakeBzImage(packed)[:2200], "cut off"},
		{"damaged payload", fakeBzImage(append(append([]byte{}, packed[:40]...), make([]byte, 100)...)), "zstd"},
		{"lzo", fakeBzImage(append([]byte("\x89LZO"), make([]byte, 64)...)), "packed with lzo"},
		{"unknown format", fakeBzImage(bytes.Repeat([]byte("?"), 64)), "unknown format"},
		{"old protocol", func() []byte {
			b := fakeBzImage(packed)
			binary.LittleEndian.PutUint16(b[offVersion:], 0x206)
			return b
		}(), "older than 2.08"},
		{"absurd length", func() []byte {
			b := fakeBzImage(packed)
			binary.LittleEndian.PutUint32(b[offPayloadLength:], 0xffffffff)
			return b
		}(), "payload of"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "kernel")
			write(t, path, tt.file)
			_, err := PrepareKernel(path, func(string) string { return filepath.Join(dir, "vmlinux") })
			var kernel *KernelError
			if !errors.As(err, &kernel) || kernel.Path != path || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("error %v, want a KernelError with %q", err, tt.problem)
			}
			if left, _ := os.ReadDir(dir); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if _, err := PrepareKernel(filepath.Join(t.TempDir(), "none"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// FuzzUnpack: a kernel is the user's own file, but a broken one shall be an error.
func FuzzUnpack(f *testing.F) {
	f.Add(fakeVmlinux(elf.EM_X86_64, pvhNote, nil))
	sample, err := os.ReadFile("testdata/codelike.xz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fakeBzImage(sample[:600]))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, _ = unpackBzImage(bytes.NewReader(file))
		_ = checkVmlinux("fuzz", bytes.NewReader(file))
		_, _ = newXZReader(bytes.NewReader(file))
		_, _ = unpackLZ4(file)
	})
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
