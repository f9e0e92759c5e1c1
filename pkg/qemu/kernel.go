package qemu

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// pvhNote is XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h): the address at which QEMU enters an
// uncompressed kernel, present with CONFIG_PVH=y.
const pvhNote = 18

// PrepareKernel returns the path of a kernel QEMU boots through PVH: path itself when it is such an ELF vmlinux, or,
// for a bzImage, its unpacked content at the path that cache names for the file's SHA-256 (hex), made there if it is
// not yet. Unpacking in the guest would be emulated and cost 1.2 s. Two calls at once do the work twice and no harm.
// Errors about the file's content are *KernelError.
func PrepareKernel(path string, cache func(sha256 string) string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", &KernelError{path, "cannot be read", err}
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil {
		return "", &KernelError{path, "is too short for a kernel", nil}
	}
	if string(magic) == elf.ELFMAG {
		return path, checkVmlinux(path, f)
	}

	sum, err := hashReader(io.NewSectionReader(f, 0, maxKernelBytes))
	if err != nil {
		return "", &KernelError{path, "cannot be read", err}
	}
	unpacked := cache(sum)
	if _, err := os.Stat(unpacked); err == nil {
		return unpacked, nil // made whole before it got this name
	}
	vmlinux, err := unpackBzImage(f)
	if err != nil {
		return "", &KernelError{path, "cannot be unpacked", err}
	}
	if err := checkVmlinux(path, bytes.NewReader(vmlinux)); err != nil {
		return "", err
	}
	if err := writeWhole(unpacked, vmlinux); err != nil {
		return "", fmt.Errorf("keep unpacked kernel %s: %w", path, err)
	}
	return unpacked, nil
}

func hashReader(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// checkVmlinux reports a *KernelError unless r is an x86-64 ELF program with a PVH entry.
func checkVmlinux(path string, r io.ReaderAt) error {
	f, err := elf.NewFile(r)
	if err != nil {
		return &KernelError{path, "is no valid ELF file", err}
	}
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return &KernelError{path, fmt.Sprintf("is no x86-64 program (%s, %s)", f.Machine, f.Type), nil}
	}
	for _, p := range f.Progs {
		if p.Type != elf.PT_NOTE || p.Filesz > 1<<20 {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := p.ReadAt(notes, 0); err != nil {
			return &KernelError{path, "is cut off", err}
		}
		if hasPVHNote(notes, f.ByteOrder) {
			return nil
		}
	}
	return &KernelError{path, "has no PVH entry: build it with CONFIG_PVH=y", nil}
}

// hasPVHNote looks for the Xen note in an ELF note segment: name size, content size, type, and both padded to 4.
func hasPVHNote(notes []byte, order binary.ByteOrder) bool {
	for len(notes) >= 12 {
		nameSize, descSize, kind := order.Uint32(notes), order.Uint32(notes[4:]), order.Uint32(notes[8:])
		notes = notes[12:]
		padded := func(n uint32) uint64 { return (uint64(n) + 3) &^ 3 }
		size := padded(nameSize) + padded(descSize)
		if size > uint64(len(notes)) {
			return false
		}
		if kind == pvhNote && string(notes[:nameSize]) == "Xen\x00" {
			return true
		}
		notes = notes[size:]
	}
	return false
}

// writeWhole makes the file in one step for those who look: written aside, synced, renamed.
func writeWhole(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
