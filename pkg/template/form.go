package template

import (
	"slices"

	"vpod/pkg/qemu"
)

// sourceMAC is the address of a template's network device. Each copy's agent sets
// its own.
const sourceMAC = "52:54:00:00:00:01"

// PlaceholderBytes is the size of a template's disks. The guest keeps the size it
// saw when it booted, whatever disk a copy gets, so it must be larger than any; the
// file systems on them say what can be used. It is below the longest file of ext4.
const PlaceholderBytes = 8 << 40

// Refusal says why a machine cannot be started from a template, "" when it can. A 9p
// share is no obstacle while it is not mounted, as in a template at rest.
func Refusal(m qemu.Machine) string {
	for _, s := range m.Shares {
		if s.Kind == qemu.ShareVirtioFS {
			return "QEMU cannot save a machine with a virtiofs share"
		}
	}
	return ""
}

// Source is the machine to boot and save so that m can be started from it: m with
// its memory in the file ram, with placeholder disks, shares of the directory
// share and without a network.
func Source(m qemu.Machine, ram string, placeholder func(qemu.Disk) string, share string) qemu.Machine {
	m.Name = "vpod-template"
	m.MemoryPath, m.MemoryShared = ram, true
	disks := make([]qemu.Disk, len(m.Disks))
	for i, d := range m.Disks {
		disks[i] = qemu.Disk{ID: d.ID, Path: placeholder(d), ReadOnly: d.ReadOnly, Serial: d.Serial}
	}
	m.Disks = disks
	if len(m.Shares) > 0 {
		m.Shares = slices.Clone(m.Shares)
		for i := range m.Shares {
			m.Shares[i].Path = share
		}
	}
	if m.NIC != nil {
		m.NIC = &qemu.NIC{MAC: sourceMAC, MTU: m.NIC.MTU, Unconnected: true}
	}
	return m
}

// Clone is m as it is started from its template: it maps the template's memory
// privately and waits for the template's state in place of booting.
func Clone(m qemu.Machine, ram string) qemu.Machine {
	m.MemoryPath, m.MemoryShared = ram, false
	m.Incoming = "defer"
	m.Kernel, m.Initrd, m.KernelArgs = "", "", nil // they are in its memory
	return m
}
