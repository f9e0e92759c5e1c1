package qemu

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// maxCPUs is what both boards take (and CONFIG_NR_CPUS of the guest's kernel is 64).
const maxCPUs = 64

// maxSerial is VIRTIO_BLK_ID_BYTES: QEMU cuts longer serial numbers, and two disks would then be one.
const maxSerial = 20

// identifier is QEMU's form of an id (util/id.c, id_wellformed), bounded.
var identifier = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z][-._a-zA-Z0-9]{0,30}$`) })

// serialNumber keeps to what survives a udev link or a log line.
var serialNumber = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[-._a-zA-Z0-9]+$`) })

var uuidForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
})

// Validate reports the first thing about m that QEMU, or the guest, could not work with: a *FieldError or a
// *MemoryError. It looks at no file.
func (m *Machine) Validate() error {
	checks := []func() error{m.validateBoard, m.validateMemory, m.validateCPUs, m.validateKernel, m.validateDisks,
		m.validateShares, m.validateNIC, m.validateStart, m.validateFDs}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) validateBoard() error {
	switch m.Board {
	case BoardQ35, BoardMicroVM:
	default:
		return &FieldError{"Board", string(m.Board), "is no board vpod knows", "use q35 or microvm"}
	}
	switch m.Accel {
	case AccelKVM, AccelTCG:
	default:
		return &FieldError{"Accel", string(m.Accel), "is no accelerator vpod knows", "use kvm or tcg"}
	}
	return printable("Name", m.Name)
}

func (m *Machine) validateMemory() error {
	if least := LeastMemoryBytes(m.Board); m.MemoryBytes < least {
		return &MemoryError{m.MemoryBytes, least}
	}
	if m.MemoryBytes%(1<<20) != 0 {
		return &FieldError{"MemoryBytes", strconv.FormatInt(m.MemoryBytes, 10), "is not a multiple of 1 MiB", "round it up"}
	}
	return printable("MemoryPath", m.MemoryPath)
}

func (m *Machine) validateCPUs() error {
	if m.CPUs < 1 || m.CPUs > maxCPUs {
		return &FieldError{"CPUs", strconv.Itoa(m.CPUs), "is out of range", fmt.Sprintf("give 1 to %d", maxCPUs)}
	}
	if m.MaxCPUs != 0 && (m.MaxCPUs < m.CPUs || m.MaxCPUs > maxCPUs) {
		return &FieldError{"MaxCPUs", strconv.Itoa(m.MaxCPUs), "is out of range", fmt.Sprintf("give %d to %d", m.CPUs, maxCPUs)}
	}
	return nil
}

func (m *Machine) validateKernel() error {
	if m.Kernel == "" {
		if m.Incoming != "" && m.Initrd == "" && len(m.KernelArgs) == 0 {
			return nil
		}
		return &FieldError{"Kernel", "", "is missing", "name a kernel"}
	}
	if err := printable("Kernel", m.Kernel); err != nil {
		return err
	}
	if err := printable("Initrd", m.Initrd); err != nil {
		return err
	}
	// COMMAND_LINE_SIZE of x86; the kernel cuts off the rest without a word. microvm may add the virtio-mmio
	// devices, about 40 bytes each.
	const most = 2048 - 512
	total := 0
	for i, arg := range m.KernelArgs {
		field := fmt.Sprintf("KernelArgs[%d]", i)
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return &FieldError{field, arg, "is empty or holds control characters", "leave it out"}
		}
		total += len(arg) + 1
	}
	if total > most {
		return &FieldError{"KernelArgs", fmt.Sprintf("%d bytes", total), "are more than the kernel reads", fmt.Sprintf("keep to %d", most)}
	}
	return nil
}

func (m *Machine) validateDisks() error {
	ids, serials := map[string]bool{}, map[string]bool{}
	for i, d := range m.Disks {
		field := fmt.Sprintf("Disks[%d].", i)
		switch {
		case !identifier().MatchString(d.ID):
			return &FieldError{field + "ID", d.ID, "is not an id QEMU takes", "use up to 31 letters, digits, '-', '.', '_', a letter first"}
		case ids[d.ID]:
			return &FieldError{field + "ID", d.ID, "is used by another disk", "give each its own"}
		case (d.Path == "") == (d.FD == 0):
			return &FieldError{field + "Path", d.Path, "or FD is needed, and not both", ""}
		case len(d.serial()) > maxSerial || !serialNumber().MatchString(d.serial()):
			return &FieldError{field + "Serial", d.serial(), "is not a serial number the guest can see", fmt.Sprintf("use up to %d letters and digits", maxSerial)}
		case serials[d.serial()]:
			return &FieldError{field + "Serial", d.serial(), "is used by another disk", "give each its own"}
		case d.Cache != "" && d.Cache != CacheWriteback && d.Cache != CacheUnsafe:
			return &FieldError{field + "Cache", string(d.Cache), "is no cache policy", "use writeback or unsafe"}
		}
		if err := printable(field+"Path", d.Path); err != nil {
			return err
		}
		ids[d.ID], serials[d.serial()] = true, true
	}
	return nil
}

func (m *Machine) validateShares() error {
	tags := map[string]bool{}
	for i, s := range m.Shares {
		field := fmt.Sprintf("Shares[%d].", i)
		if !identifier().MatchString(s.Tag) {
			return &FieldError{field + "Tag", s.Tag, "is not a tag QEMU takes", "use up to 31 letters, digits, '-', '.', '_', a letter first"}
		}
		if tags[s.Tag] {
			return &FieldError{field + "Tag", s.Tag, "is used by another share", "give each its own"}
		}
		tags[s.Tag] = true
		switch {
		case s.Kind == Share9P && s.Path == "":
			return &FieldError{field + "Path", "", "is missing", "name the directory to share"}
		case s.Kind == ShareVirtioFS && (s.Socket == "") == (s.FD == 0):
			return &FieldError{field + "Socket", s.Socket, "or FD is needed, and not both", ""}
		case s.Kind == ShareVirtioFS && m.MemoryPath != "" && !m.MemoryShared:
			return &FieldError{field + "Kind", string(s.Kind), "needs memory its helper can map", "set MemoryShared"}
		case s.Kind != Share9P && s.Kind != ShareVirtioFS:
			return &FieldError{field + "Kind", string(s.Kind), "is no kind of share", "use 9p or virtiofs"}
		}
		if err := printable(field+"Path", s.Path+s.Socket); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) validateNIC() error {
	n := m.NIC
	if n == nil {
		return nil
	}
	mac, err := net.ParseMAC(n.MAC)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return &FieldError{"NIC.MAC", n.MAC, "is no Ethernet address of one station", "give six bytes, the first one even"}
	}
	if n.MTU != 0 && (n.MTU < 68 || n.MTU > 65535) {
		return &FieldError{"NIC.MTU", strconv.Itoa(n.MTU), "is out of range", "give 68 to 65535, or 0"}
	}
	ends := 0
	for _, there := range []bool{n.User != nil, n.StreamFD != 0, n.Unconnected} {
		if there {
			ends++
		}
	}
	if ends != 1 {
		return &FieldError{"NIC.User", "", "or StreamFD or Unconnected is needed, and only one", ""}
	}
	if n.User == nil {
		return nil
	}
	u := n.User
	if u.Network != "" {
		if p, err := netip.ParsePrefix(u.Network); err != nil || !p.Addr().Is4() {
			return &FieldError{"NIC.User.Network", u.Network, "is no IPv4 network", "write it as 10.0.2.0/24"}
		}
	}
	for _, a := range []struct{ field, addr string }{{"Host", u.Host}, {"DNS", u.DNS}, {"Guest", u.Guest}} {
		if err := ipv4("NIC.User."+a.field, a.addr); err != nil {
			return err
		}
	}
	for i, f := range u.Forwards {
		field := fmt.Sprintf("NIC.User.Forwards[%d].", i)
		if f.Protocol != "tcp" && f.Protocol != "udp" {
			return &FieldError{field + "Protocol", f.Protocol, "cannot be forwarded", "use tcp or udp"}
		}
		if err := ipv4(field+"HostIP", f.HostIP); err != nil {
			return err
		}
		if err := port(field+"HostPort", f.HostPort); err != nil {
			return err
		}
		if err := port(field+"GuestPort", f.GuestPort); err != nil {
			return err
		}
	}
	return nil
}

func port(field string, n int) error {
	if n < 1 || n > 65535 {
		return &FieldError{field, strconv.Itoa(n), "is no port", "give 1 to 65535"}
	}
	return nil
}

func ipv4(field, addr string) error {
	if addr == "" {
		return nil
	}
	if a, err := netip.ParseAddr(addr); err != nil || !a.Is4() {
		return &FieldError{field, addr, "is no IPv4 address", "QEMU's built-in network speaks IPv4 alone; passt does both"}
	}
	return nil
}

func (m *Machine) validateStart() error {
	if m.HotplugPorts < 0 || m.HotplugPorts > 16 {
		return &FieldError{"HotplugPorts", strconv.Itoa(m.HotplugPorts), "is out of range", "give 0 to 16"}
	}
	if m.HotplugPorts > 0 && m.Board != BoardQ35 {
		return &FieldError{"HotplugPorts", strconv.Itoa(m.HotplugPorts), "need PCI", "use the board q35"}
	}
	if m.GenerationID != "" {
		if m.GenerationID != "auto" && !uuidForm().MatchString(m.GenerationID) {
			return &FieldError{"GenerationID", m.GenerationID, "is no UUID", `give one, or "auto"`}
		}
		if m.Board != BoardQ35 {
			return &FieldError{"GenerationID", m.GenerationID, "needs ACPI tables that microvm lacks", "use the board q35"}
		}
	}
	if fd, ok := strings.CutPrefix(m.Incoming, "fd:"); ok {
		if n, err := strconv.Atoi(fd); err != nil || n < 3 {
			return &FieldError{"Incoming", m.Incoming, "names no inherited descriptor", "give fd:N with N of 3 or more"}
		}
	} else if m.Incoming != "" && m.Incoming != "defer" {
		return &FieldError{"Incoming", m.Incoming, "is not allowed in the sandbox", "use defer or fd:N"}
	}
	return nil
}

// validateFDs holds that every descriptor is one QEMU inherits and that none is used twice.
func (m *Machine) validateFDs() error {
	type use struct {
		field string
		fd    int
	}
	uses := []use{{"QMPFD", m.QMPFD}, {"ConsoleFD", m.ConsoleFD}, {"AgentFD", m.AgentFD}}
	if m.NIC != nil {
		uses = append(uses, use{"NIC.StreamFD", m.NIC.StreamFD})
	}
	for i, d := range m.Disks {
		uses = append(uses, use{fmt.Sprintf("Disks[%d].FD", i), d.FD})
	}
	for i, s := range m.Shares {
		uses = append(uses, use{fmt.Sprintf("Shares[%d].FD", i), s.FD})
	}
	taken := map[int]string{}
	for _, u := range uses {
		if u.fd == 0 {
			continue
		}
		if u.fd < 3 {
			return &FieldError{u.field, strconv.Itoa(u.fd), "is standard input, output or error", "pass another descriptor"}
		}
		if other, ok := taken[u.fd]; ok {
			return &FieldError{u.field, strconv.Itoa(u.fd), "is already " + other, "pass another descriptor"}
		}
		taken[u.fd] = u.field
	}
	return nil
}

// printable refuses what cannot stand in an argument or would break a log line. Commas are fine: they are escaped.
func printable(field, s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &FieldError{field, s, "holds control characters", "rename it"}
	}
	return nil
}
