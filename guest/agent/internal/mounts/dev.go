package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// node is a device node to be made.
type node struct {
	path  string // absolute, in the container
	mode  uint32 // type and permissions
	rdev  uint64
	uid   int
	gid   int
	owned bool // uid and gid are to be set
}

// The devices every container has: runtime-spec, config-linux.md, "Default
// Devices". Numbers are those of Documentation/admin-guide/devices.txt.
var defaultDevices = []node{
	{path: "/dev/null", rdev: unix.Mkdev(1, 3)},
	{path: "/dev/zero", rdev: unix.Mkdev(1, 5)},
	{path: "/dev/full", rdev: unix.Mkdev(1, 7)},
	{path: "/dev/random", rdev: unix.Mkdev(1, 8)},
	{path: "/dev/urandom", rdev: unix.Mkdev(1, 9)},
	{path: "/dev/tty", rdev: unix.Mkdev(5, 0)},
}

// The symbolic links every container has.
var devLinks = [][2]string{
	{"/proc/self/fd", "/dev/fd"},
	{"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"},
	{"/proc/self/fd/2", "/dev/stderr"},
	{"/proc/kcore", "/dev/core"},
	{"pts/ptmx", "/dev/ptmx"},
}

// Privileged reports whether the rules let the container use every device: it
// then gets those of the machine. That is what Podman's --privileged writes.
func Privileged(rules []specs.LinuxDeviceCgroup) bool {
	all := false
	for _, r := range rules {
		if (r.Type == "" || r.Type == "a") && r.Major == nil && r.Minor == nil {
			all = r.Allow
		}
	}
	return all
}

// parseDevice checks one device of the configuration. Without numbers it is the
// machine's device of that path: the host does not know the guest's numbers.
func parseDevice(d specs.LinuxDevice) (node, error) {
	n := node{path: path.Clean(d.Path), mode: 0o666}
	if !path.IsAbs(d.Path) || strings.ContainsRune(d.Path, 0) {
		return n, fmt.Errorf("device path %q is not absolute", d.Path)
	}
	if d.FileMode != nil {
		n.mode = uint32(*d.FileMode) & 0o7777
	}
	if d.UID != nil && d.GID != nil {
		n.uid, n.gid, n.owned = int(*d.UID), int(*d.GID), true
	} else if d.UID != nil || d.GID != nil {
		return n, fmt.Errorf("device %s: owner and group go together", d.Path)
	}
	switch d.Type {
	case "c", "u":
		n.mode |= unix.S_IFCHR
	case "b":
		n.mode |= unix.S_IFBLK
	case "p":
		n.mode |= unix.S_IFIFO
		return n, nil
	default:
		return n, fmt.Errorf("device %s: unknown type %q", d.Path, d.Type)
	}
	if d.Major < 0 || d.Minor < 0 || d.Major > 1<<12-1 || d.Minor > 1<<20-1 {
		return n, fmt.Errorf("device %s: no such number %d:%d", d.Path, d.Major, d.Minor)
	}
	n.rdev = unix.Mkdev(uint32(d.Major), uint32(d.Minor))
	if d.Major == 0 && d.Minor == 0 {
		var st unix.Stat_t
		if err := unix.Stat(n.path, &st); err != nil {
			return n, fmt.Errorf("device %s of the machine: %w", d.Path, err)
		}
		if st.Mode&unix.S_IFMT != n.mode&unix.S_IFMT {
			return n, fmt.Errorf("device %s of the machine is not of type %q", d.Path, d.Type)
		}
		n.rdev = st.Rdev
	}
	return n, nil
}

// machineDevices lists the device nodes of the machine, but for terminals and
// the agent's own channel, as Podman leaves out the host's terminals.
func machineDevices(dir string) ([]node, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var nodes []node
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "tty") || strings.HasPrefix(name, "vport") || strings.HasPrefix(name, "hvc") ||
			name == "console" || name == "ptmx" || name == "pts" || name == "shm" {
			continue
		}
		full := path.Join(dir, name)
		var st unix.Stat_t
		if err := unix.Lstat(full, &st); err != nil {
			continue // gone meanwhile
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			below, err := machineDevices(full)
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, below...)
		case unix.S_IFCHR, unix.S_IFBLK:
			nodes = append(nodes, node{full, st.Mode, st.Rdev, int(st.Uid), int(st.Gid), true})
		}
	}
	return nodes, nil
}

// make makes the node in the container's root. An existing one stays.
func (n node) make() error {
	mode := n.mode
	if mode == 0 {
		mode = unix.S_IFCHR | 0o666
	}
	err := unix.Mknod(n.path, mode, int(n.rdev))
	if errors.Is(err, unix.ENOENT) {
		if err := os.MkdirAll(path.Dir(n.path), 0o755); err != nil {
			return err
		}
		err = unix.Mknod(n.path, mode, int(n.rdev))
	}
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make device %s: %w", n.path, err)
	}
	if n.owned {
		return unix.Lchown(n.path, n.uid, n.gid)
	}
	return nil
}

// makeLinks makes the symbolic links of /dev that can lead somewhere.
func makeLinks() error {
	for _, l := range devLinks {
		if err := unix.Symlink(l[0], l[1]); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("link %s: %w", l[1], err)
		}
	}
	return nil
}
