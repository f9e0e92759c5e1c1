package qemu

import (
	"fmt"
	"strings"
)

// device returns the properties of a virtio device for the board's bus. kind is the name without the bus, "virtio-blk".
func (m *Machine) device(kind string, props ...string) []string {
	if m.Board == BoardMicroVM {
		return append([]string{kind + "-device"}, props...)
	}
	return append([]string{kind + "-pci"}, props...)
}

// addFDChardev adds a character device over an inherited, connected socket.
func addFDChardev(a *argList, id string, fd int) {
	a.add("-chardev", "socket", prop("id", id), propInt("fd", fd))
}

// addChannels adds what the monitor talks through.
func (m *Machine) addChannels(a *argList) {
	if m.QMPFD != 0 {
		// A socket pair: no path, no second client, and its end is the end of QEMU.
		addFDChardev(a, "qmp", m.QMPFD)
		a.add("-mon", "chardev=qmp", "mode=control")
	}
	if m.ConsoleFD != 0 {
		addFDChardev(a, "console", m.ConsoleFD)
		a.add("-serial", "chardev:console")
	}
	if m.AgentFD != 0 {
		addFDChardev(a, "agent", m.AgentFD)
		// Port 0 is kept for a console by the specification; the agent gets port 1.
		a.add("-device", m.device("virtio-serial", "id=serial", "max_ports=2")...)
		a.add("-device", "virtserialport", "bus=serial.0", "nr=1", "chardev=agent", "id=agent", "name="+AgentPort)
	}
}

// serial is what the guest knows the disk by.
func (d Disk) serial() string {
	if d.Serial != "" {
		return d.Serial
	}
	return d.ID
}

func (m *Machine) addDisks(a *argList) {
	for _, d := range m.Disks {
		path := d.Path
		if d.FD != 0 {
			a.add("-add-fd", propInt("fd", d.FD), propInt("set", d.FD))
			path = fmt.Sprintf("/dev/fdset/%d", d.FD)
		}
		props := []string{
			"driver=raw",
			prop("node-name", d.ID),
			propBool("read-only", d.ReadOnly),
			// Through the host's page cache, shared by all machines over the same image.
			"cache.direct=off",
			propBool("cache.no-flush", d.Cache == CacheUnsafe),
		}
		if !d.ReadOnly {
			// Freed and zeroed blocks become holes: scratch disks stay sparse.
			props = append(props, "discard=unmap", "detect-zeroes=unmap")
		}
		a.add("-blockdev", append(props, "file.driver=file", prop("file.filename", path))...)
		a.add("-device", m.device("virtio-blk",
			prop("id", d.DeviceID()),
			prop("drive", d.ID),
			prop("serial", d.serial()),
			// A full host file system is the guest's I/O error; QEMU's default is to stop the machine.
			"werror=report", "rerror=report",
		)...)
	}
}

func (m *Machine) addShares(a *argList) {
	for _, s := range m.Shares {
		id := "share-" + s.Tag
		switch s.Kind {
		case Share9P:
			model := "none" // as passthrough, but a chown that the host refuses is not the guest's error
			if s.Mapped {
				model = "mapped-xattr"
			}
			a.add("-fsdev", "local", prop("id", id), prop("path", s.Path), prop("security_model", model),
				propBool("readonly", s.ReadOnly),
				"multidevs=remap") // mounts below the directory have inode numbers of their own
			a.add("-device", m.device("virtio-9p", prop("fsdev", id), prop("mount_tag", s.Tag))...)
		case ShareVirtioFS:
			if s.FD != 0 {
				addFDChardev(a, id, s.FD)
			} else {
				a.add("-chardev", "socket", prop("id", id), prop("path", s.Socket))
			}
			a.add("-device", m.device("vhost-user-fs", prop("id", "fs-"+s.Tag), prop("chardev", id), prop("tag", s.Tag), "queue-size=1024")...)
		}
	}
}

func (m *Machine) addNIC(a *argList) {
	n := m.NIC
	if n == nil {
		return
	}
	props := []string{"id=nic"}
	switch {
	case n.Unconnected: // no end at all: with a hub of one port the machine does not come up (QEMU 7.2)
	case n.User != nil:
		a.add("-netdev", n.User.props()...)
		props = append(props, "netdev=net")
	default:
		a.add("-netdev", "stream", "id=net", "server=off", "addr.type=fd", propInt("addr.str", n.StreamFD))
		props = append(props, "netdev=net")
	}
	props = append(props, prop("mac", n.MAC))
	if n.MTU != 0 {
		props = append(props, propInt("host_mtu", n.MTU))
	}
	if m.Board == BoardQ35 {
		props = append(props, "romfile=") // nobody boots from the network
	}
	a.add("-device", m.device("virtio-net", props...)...)
}

func (u *UserNet) props() []string {
	props := []string{"user", "id=net", "ipv6=off"}
	for _, o := range []struct{ key, value string }{
		{"net", u.Network}, {"host", u.Host}, {"dns", u.DNS}, {"dhcpstart", u.Guest},
	} {
		if o.value != "" {
			props = append(props, prop(o.key, o.value))
		}
	}
	if u.Restrict {
		props = append(props, "restrict=on")
	}
	for _, f := range u.Forwards {
		props = append(props, fmt.Sprintf("hostfwd=%s:%s:%d-%s:%d", f.Protocol, f.HostIP, f.HostPort, u.Guest, f.GuestPort))
	}
	return props
}

// addPlatformDevices adds what every guest gets.
func (m *Machine) addPlatformDevices(a *argList) {
	// Entropy at boot: an emulated CPU has little of its own.
	a.add("-object", "rng-builtin", "id=rng")
	a.add("-device", m.device("virtio-rng", "rng=rng")...)

	if m.hasBalloon() {
		// Memory the guest has freed goes back to the host by itself. It may come back with other content, a
		// template's: a guest that relies on zeros must not report it, and without page-poison does not.
		a.add("-device", m.device("virtio-balloon", "id=balloon", "free-page-reporting=on",
			"page-poison=off")...)
	}
	if m.Board == BoardQ35 {
		// The kernel's panic becomes an event. ISA, found through ACPI: less to probe than the PCI one.
		a.add("-device", "pvpanic")
		if m.GenerationID != "" {
			a.add("-device", "vmgenid", prop("guid", strings.ToLower(m.GenerationID)))
		}
	}
	for i := range m.HotplugPorts {
		a.add("-device", "pcie-root-port", prop("id", HotplugPort(i)), propInt("chassis", i+1), propInt("slot", i+1))
	}
}

// hasBalloon says whether the guest may give memory back. QEMU 7.2 punches holes into a memory file then, even through
// a private mapping, so that one clone of a template would wipe the memory of all, unless it is kept from that. A
// template has the same devices as its clones.
func (m *Machine) hasBalloon() bool { return m.MemoryPath == "" || m.MemoryProtected }
