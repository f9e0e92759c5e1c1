package qemu

import (
	"fmt"
	"strconv"
	"strings"
)

// Args returns the argument list of QEMU for m, without the program's name: the same one for the same Machine. It
// returns Validate's errors.
func (m *Machine) Args() ([]string, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	var a argList
	m.addBase(&a)
	m.addBoard(&a)
	m.addFirmware(&a)
	m.addMemory(&a)
	m.addKernel(&a)
	m.addChannels(&a)
	m.addDisks(&a)
	m.addShares(&a)
	m.addNIC(&a)
	m.addPlatformDevices(&a)
	m.addStart(&a)
	return a, nil
}

// argList collects arguments; every option is added with its value.
type argList []string

func (a *argList) add(option string, properties ...string) {
	*a = append(*a, option)
	if len(properties) > 0 {
		*a = append(*a, strings.Join(properties, ","))
	}
}

// prop is one key=value of an option. QEMU splits options at commas and takes two for one.
func prop(key, value string) string { return key + "=" + strings.ReplaceAll(value, ",", ",,") }

func propInt[T int | int64](key string, value T) string {
	return key + "=" + strconv.FormatInt(int64(value), 10)
}

func propBool(key string, value bool) string {
	if value {
		return key + "=on"
	}
	return key + "=off"
}

func (m *Machine) addBase(a *argList) {
	a.add("-name", prop("guest", m.Name))
	a.add("-nodefaults")          // no floppy, CD drive, VGA, network card: only what is listed below
	a.add("-no-user-config")      // /etc/qemu must not change the machine
	a.add("-display", "none")     // no window, no SDL or GTK start-up
	a.add("-no-reboot")           // a guest that reboots, or panics, ends its machine
	a.add("-rtc", "base=utc")     // the guest's first idea of the time
	a.add("-msg", "timestamp=on") // stderr goes into a log

	// A guest that took QEMU over shall find few system calls: nothing obsolete, no setuid, no new processes, no
	// scheduling games.
	a.add("-sandbox", "on", "obsolete=deny", "elevateprivileges=deny", "spawn=deny", "resourcecontrol=deny")
}

func (m *Machine) addBoard(a *argList) {
	props := []string{
		string(m.Board),
		"dump-guest-core=off", // a core file of QEMU shall not hold the guest's memory
		"mem-merge=off",       // merged pages tell one guest about another's memory
	}
	switch m.Board {
	case BoardQ35:
		props = append(props,
			"usb=off",
			"vmport=off", // VMware's back door
			"sata=off",   // disks are virtio; an empty AHCI costs the guest's probing
			"smbus=off",  // nothing on it
			"i8042=off",  // no keyboard; the guest's kernel has no driver either
			"smm=off",    // only firmware updates need it, and TCG is slow at it
		)
	case BoardMicroVM:
		props = append(props,
			"acpi=on",  // devices and power-off without guessing
			"rtc=on",   // the clock, before the agent sets it
			"usb=off",  //
			"pcie=off", // what needs PCI is what q35 is for
		)
	}
	if m.memoryBackend() {
		props = append(props, prop("memory-backend", memoryID))
	}
	a.add("-machine", props...)
	if m.Board == BoardMicroVM {
		a.add("-global", "virtio-mmio.force-legacy=off") // vhost-user helpers refuse virtio 0.9
	}

	switch m.Accel {
	case AccelKVM:
		a.add("-accel", "kvm")
		a.add("-cpu", "host")
	case AccelTCG:
		// Translated code grows up to tb-size MiB for each machine; QEMU's default is 1024. A start takes 28, Python
		// with what it imports 78.
		a.add("-accel", "tcg", "thread=multi", "tb-size=128")
		// Without erms the kernel copies in words: QEMU emulates rep movsb byte by byte (stdio 22 MB, without it 55 MB
		// in a second of processor time).
		a.add("-cpu", "max,-erms")
	}
	most := max(m.MaxCPUs, m.CPUs)
	// One socket: the guest's scheduler shall see neighbours, not NUMA distances.
	a.add("-smp", propInt("cpus", m.CPUs), propInt("maxcpus", most), "sockets=1", propInt("cores", most), "threads=1")
}

// addFirmware chooses what runs before the kernel. On q35, qboot hands over 0.15 s earlier than SeaBIOS (TCG), but it
// stops at the tables of a VM generation id. microvm's own choice is as quick as qboot.
func (m *Machine) addFirmware(a *argList) {
	if m.Board == BoardQ35 && m.GenerationID == "" {
		a.add("-bios", "qboot.rom") // in QEMU's own data directory
	}
}

// memoryID names the memory backend.
const memoryID = "ram"

// shared reports whether the guest's memory must be mappable by others.
func (m *Machine) shared() bool {
	for _, s := range m.Shares {
		if s.Kind == ShareVirtioFS {
			return true
		}
	}
	return m.MemoryShared
}

// memoryBackend reports whether the memory is an object of its own; plain anonymous memory needs none.
func (m *Machine) memoryBackend() bool { return m.MemoryPath != "" || m.shared() }

func (m *Machine) addMemory(a *argList) {
	a.add("-m", propInt("size", m.MemoryBytes>>20)+"M")
	size := propInt("size", m.MemoryBytes)
	switch {
	case m.MemoryPath != "":
		a.add("-object", "memory-backend-file", "id="+memoryID, size, prop("mem-path", m.MemoryPath), propBool("share", m.shared()))
	case m.shared():
		a.add("-object", "memory-backend-memfd", "id="+memoryID, size, "share=on")
	}
}

func (m *Machine) addKernel(a *argList) {
	if m.Kernel == "" {
		return
	}
	a.add("-kernel", m.Kernel)
	if m.Initrd != "" {
		a.add("-initrd", m.Initrd)
	}
	var args []string
	if m.ConsoleFD != 0 {
		args = append(args, "console=ttyS0")
	}
	if m.Accel == AccelTCG {
		args = append(args,
			// On one CPU the kernel would overwrite 9,000 lock prefixes; emulation pays 0.12 s for that.
			"noreplace-smp",
			// Does the timer interrupt at all? On a busy host the answer may come too late, and then be a panic.
			"no_timer_check",
		)
	}
	args = append(args, m.KernelArgs...)
	if len(args) > 0 {
		a.add("-append", strings.Join(args, " "))
	}
}

func (m *Machine) addStart(a *argList) {
	if m.Incoming != "" {
		a.add("-incoming", m.Incoming)
	}
	if m.Paused {
		a.add("-S")
	}
}

// Cmdline is the whole command, quoted so that a shell reads it back; for logs. Inherited descriptors are what it
// cannot say.
func Cmdline(program string, args []string) string {
	words := []string{quote(program)}
	for _, arg := range args {
		words = append(words, quote(arg))
	}
	return strings.Join(words, " ")
}

// quote leaves plain words as they are and puts others in single quotes.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r)
	}
	if word != "" && strings.TrimLeftFunc(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// HotplugPort is the id of the i-th free PCIe root port, counted from 0: the bus to plug a device into.
func HotplugPort(i int) string { return fmt.Sprintf("hotplug%d", i) }
