package template

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewRAM returns an empty file for the memory of a machine that becomes a template.
// It is memory itself, without a name, and gone with the last who has it open.
func NewRAM() (*os.File, error) {
	fd, err := unix.MemfdCreate("vpod-template", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make the template's memory: %w", err)
	}
	return os.NewFile(uintptr(fd), "memory of the template"), nil
}
