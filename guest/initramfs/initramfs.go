// Package initramfs writes the first root filesystem of a vpod guest: an
// uncompressed newc cpio archive that holds the agent as /init, the two device
// nodes a Go program needs to live as PID 1, and the directories its first
// mounts go to.
//
// The archive has no shell, no modules and no compression (unpacking would be
// emulated too, see guest/kernel/README.md). The bytes depend on the agent
// alone: no clock, no uid of the builder, no file system order. Device nodes
// are only described in the archive, so writing needs no privileges.
//
// The mkinitramfs command beside it calls this package when vpod is built. It
// does not build the agent and nothing of it runs in the guest.
package initramfs

import (
	"errors"
	"fmt"
	"io"
	"math"
)

// ErrAgentTooLarge reports an agent that a newc archive cannot describe: the
// format keeps file sizes in 32 bits.
var ErrAgentTooLarge = errors.New("agent does not fit in a cpio archive")

// entry is one member of the archive. Regular files take their content from
// the writer's caller; everything else has none.
type entry struct {
	name         string // relative to the root, parents before children
	mode         uint32 // file type and permission bits, as in stat(2)
	major, minor uint32 // device number, character devices only
}

// entries lists the archive in the order in which it is written.
//
// Linux opens /dev/console for the file descriptors 0-2 of PID 1. Without it
// PID 1 starts with none, and the Go runtime then opens /dev/null in their
// place; without that one too it dies before main, silently.
func entries() []entry {
	return []entry{
		{name: "dev", mode: modeDir | 0o755},
		{name: "dev/console", mode: modeChar | 0o600, major: 5, minor: 1},
		{name: "dev/null", mode: modeChar | 0o666, major: 1, minor: 3},
		{name: initName, mode: modeRegular | 0o755},
		{name: "proc", mode: modeDir | 0o755},
		{name: "run", mode: modeDir | 0o755},
		{name: "sys", mode: modeDir | 0o755},
	}
}

// initName is where the kernel looks for PID 1 in an initramfs.
const initName = "init"

// Write writes the archive to w, with size bytes read from agent as /init. It
// fails with io.ErrUnexpectedEOF when agent ends early, reads nothing past
// size bytes, and leaves closing both to the caller. What was written before
// an error is not an archive.
func Write(w io.Writer, agent io.Reader, size int64) error {
	if size <= 0 {
		return fmt.Errorf("agent of %d bytes: nothing to boot", size)
	}
	if size > math.MaxUint32 {
		return fmt.Errorf("agent of %d bytes: %w", size, ErrAgentTooLarge)
	}
	cw := &cpioWriter{w: w}
	for _, e := range entries() {
		var err error
		if e.name == initName {
			err = cw.add(e, agent, size)
		} else {
			err = cw.add(e, nil, 0)
		}
		if err != nil {
			return fmt.Errorf("write %s to initramfs: %w", e.name, err)
		}
	}
	if err := cw.close(); err != nil {
		return fmt.Errorf("end initramfs: %w", err)
	}
	return nil
}
