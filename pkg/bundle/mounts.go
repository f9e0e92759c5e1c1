package bundle

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentproto"
)

// kernelFilesystems are what the guest's kernel mounts by itself.
var kernelFilesystems = []string{"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs"}

// mounts divides the mounts into the guest's and the host's.
func (p *Plan) mounts(c, oci *specs.Spec) error {
	for _, m := range c.Mounts {
		m.Destination = path.Clean(m.Destination)
		if len(m.UIDMappings)+len(m.GIDMappings) > 0 || slices.Contains(m.Options, "idmap") || slices.Contains(m.Options, "ridmap") {
			return fmt.Errorf("mount %s: a machine shows the ids of its mounts as they are; leave out the mapping", m.Destination)
		}
		if m.Type == "overlay" {
			if err := p.overlay(m, oci.Mounts); err != nil {
				return err
			}
			continue
		}
		if isBind(m) {
			replaced, ok := kernelOwn(m)
			if !ok {
				p.bind(m, oci.Mounts)
				continue
			}
			m = replaced
		}
		if !slices.Contains(kernelFilesystems, m.Type) {
			return fmt.Errorf("mount %s of type %q: a machine mounts %s and what is bound", m.Destination, m.Type, strings.Join(kernelFilesystems, ", "))
		}
		oci.Mounts = append(oci.Mounts, m)
	}
	return nil
}

func isBind(m specs.Mount) bool {
	return m.Type == "bind" || slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// kernelOwn replaces a bind of something that is a kernel's own by the same of the
// guest's kernel. Shared memory is one of them: its pages cannot be a share's.
func kernelOwn(m specs.Mount) (specs.Mount, bool) {
	var options []string
	for _, o := range m.Options {
		switch o {
		case "bind", "rbind", "rprivate", "private", "rslave", "slave", "rshared", "shared", "rw":
		default:
			options = append(options, o)
		}
	}
	own := func(kind string, more ...string) (specs.Mount, bool) {
		return specs.Mount{Destination: m.Destination, Type: kind, Source: kind, Options: append(options, more...)}, true
	}
	switch source := path.Clean(m.Source); {
	case m.Destination == "/dev/shm":
		return own("tmpfs", "mode=1777", "size=65536k")
	case source == "/dev/mqueue":
		return own("mqueue")
	case source == "/sys/fs/cgroup":
		return own("cgroup")
	case source == "/sys":
		return own("sysfs")
	case source == "/proc":
		return own("proc")
	}
	return m, false
}

// bind notes a bind; before are the guest's own mounts made ahead of it.
func (p *Plan) bind(m specs.Mount, before []specs.Mount) {
	b := Bind{Source: m.Source, Destination: m.Destination}
	for _, o := range m.Options {
		switch o {
		case "rbind":
			b.Recursive = true
		case "ro", "rro":
			b.ReadOnly = true
		case "rw", "rrw":
			b.ReadOnly = false
		}
		if slices.Contains(attributes, o) {
			b.Options = append(b.Options, o)
		}
	}
	if hidden(m, before) {
		p.Hidden = append(p.Hidden, b)
		return
	}
	p.Binds = append(p.Binds, b)
}

// hidden reports whether a mount lies below one that the guest makes ahead of it.
func hidden(m specs.Mount, before []specs.Mount) bool {
	return slices.ContainsFunc(before, func(g specs.Mount) bool { return within(m.Destination, g.Destination) })
}

// overlay notes an overlay of directories of the host, as engines give volumes that
// are to stay as they are. The host's kernel mounts it, in the place of a bind.
func (p *Plan) overlay(m specs.Mount, before []specs.Mount) error {
	if hidden(m, before) {
		return fmt.Errorf("mount %s: an overlay cannot lie below a file system of the guest", m.Destination)
	}
	b := Bind{Source: "overlay", Destination: m.Destination}
	var data []string
	for _, o := range m.Options {
		switch key, _, _ := strings.Cut(o, "="); {
		case o == "ro" || o == "rro":
			b.ReadOnly = true
		case slices.Contains(attributes, o):
			b.Options = append(b.Options, o)
		case slices.Contains(overlayOptions, key):
			data = append(data, o)
		case !slices.Contains(hostMountWords, o):
			return fmt.Errorf("mount %s: an overlay has no option %q", m.Destination, o)
		}
	}
	b.Overlay = strings.Join(data, ",")
	p.Binds = append(p.Binds, b)
	return nil
}

// overlayOptions are those of the file system (Linux, filesystems/overlayfs.rst).
var overlayOptions = []string{"lowerdir", "upperdir", "workdir", "userxattr", "volatile", "index", "metacopy", "redirect_dir", "xino", "nfs_export", "uuid"}

// hostMountWords mean nothing to a mount that nothing propagates to.
var hostMountWords = []string{"rw", "rrw", "private", "rprivate", "slave", "rslave", "shared", "rshared"}

// ResolvConf is the file of the host that is bound to /etc/resolv.conf; "" is none.
func (p *Plan) ResolvConf() string {
	for _, b := range slices.Backward(p.Binds) {
		if b.Destination == "/etc/resolv.conf" {
			return b.Source
		}
	}
	return ""
}

// attributes are the options of a bind that say what may be done with its files
// (runtime-spec, config.md, "Linux mount options"), but for "ro" and its like.
var attributes = []string{
	"nosuid", "suid", "nodev", "dev", "noexec", "exec", "nosymfollow", "symfollow",
	"noatime", "atime", "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	"rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnosymfollow", "rsymfollow",
	"rnoatime", "ratime", "rnodiratime", "rdiratime", "rrelatime", "rnorelatime", "rstrictatime", "rnostrictatime",
}

// separate returns the binds that must be mounts of their own in the guest, where
// they are else part of the root's: with a root that is read-only all of them, or
// they would be so too; otherwise the first that has attributes, and those after it,
// which may lie within.
func (p *Plan) separate(readOnlyRoot bool) []agentproto.Bind {
	first := slices.IndexFunc(p.Binds, func(b Bind) bool { return readOnlyRoot || len(b.Options) > 0 })
	if first < 0 {
		return nil
	}
	binds := make([]agentproto.Bind, 0, len(p.Binds)-first)
	for _, b := range p.Binds[first:] {
		binds = append(binds, agentproto.Bind{Path: b.Destination, Options: b.guestOptions()})
	}
	return binds
}

// guestOptions are those of the bind's mount in the guest.
func (b Bind) guestOptions() []string {
	if b.ReadOnly {
		return append(slices.Clone(b.Options), "ro")
	}
	return b.Options
}

// within reports whether a path is dir or below it.
func within(p, dir string) bool {
	return dir == "/" || p == dir || strings.HasPrefix(p, dir+"/")
}
