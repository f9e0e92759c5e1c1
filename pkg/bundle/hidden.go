package bundle

import (
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentproto"
)

// maxCopy bounds a file that is given to the guest as a copy, in bytes.
const maxCopy = 1 << 20

// Reveal brings binds that a file system of the guest would hide into the guest by
// another way: a directory becomes a share of its own, a small file a copy. It adds
// to the guest's configuration and returns the shares the machine needs.
func (p *Plan) Reveal() ([]Share, error) {
	var shares []Share
	for i, b := range p.Hidden {
		info, err := os.Stat(b.Source)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", b.Destination, err)
		}
		switch {
		case info.IsDir():
			s := Share{Tag: fmt.Sprintf("bind%d", i), Source: b.Source}
			shares = append(shares, s)
			options := []string{"version=9p2000.L", "trans=virtio", "msize=512000", "cache=mmap", "access=client"}
			options = append(options, b.guestOptions()...)
			p.Guest.OCI.Mounts = append(p.Guest.OCI.Mounts, specs.Mount{Destination: b.Destination, Type: "9p", Source: s.Tag, Options: options})
		case info.Mode().IsRegular():
			data, err := readSmall(b.Source)
			if err != nil {
				return nil, fmt.Errorf("mount %s: %w", b.Destination, err)
			}
			p.Guest.Files = append(p.Guest.Files, agentproto.File{Path: b.Destination, Mode: uint32(info.Mode().Perm()), Data: data, Options: b.guestOptions()})
		case info.Mode()&os.ModeCharDevice != 0 && b.Source == b.Destination && ownDevice(b.Source):
			// The guest's kernel has the same one.
		default:
			return nil, fmt.Errorf("mount %s: %s is neither a directory nor a file: a machine has no devices or pipes of the host", b.Destination, b.Source)
		}
	}
	return shares, nil
}

// ownDevice reports whether every container has a device anyway.
func ownDevice(p string) bool {
	switch p {
	case "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty":
		return true
	}
	return false
}

func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCopy+1))
	if err == nil && len(data) > maxCopy {
		err = fmt.Errorf("%s lies below a file system of the guest, where files of up to %d bytes are copied to", name, maxCopy)
	}
	return data, err
}
