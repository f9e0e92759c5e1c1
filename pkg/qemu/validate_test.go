package qemu

import (
	"errors"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	nic := func(edit func(*NIC)) func(*Machine) {
		return func(m *Machine) {
			m.NIC = &NIC{MAC: "52:54:00:12:34:56", User: &UserNet{}}
			edit(m.NIC)
		}
	}
	tests := []struct {
		name  string
		edit  func(*Machine)
		field string // of the FieldError; empty means valid
	}{
		{"plain", func(*Machine) {}, ""},
		{"unknown board", func(m *Machine) { m.Board = "pc" }, "Board"},
		{"unknown accelerator", func(m *Machine) { m.Accel = "auto" }, "Accel"},
		{"name with a line feed", func(m *Machine) { m.Name = "a\nb" }, "Name"},
		{"half a MiB", func(m *Machine) { m.MemoryBytes = 256<<20 + 512<<10 }, "MemoryBytes"},
		{"no CPU", func(m *Machine) { m.CPUs = 0 }, "CPUs"},
		{"too many CPUs", func(m *Machine) { m.CPUs = 65 }, "CPUs"},
		{"fewer CPUs at most than at start", func(m *Machine) { m.CPUs, m.MaxCPUs = 4, 2 }, "MaxCPUs"},
		{"no kernel", func(m *Machine) { m.Kernel = "" }, "Kernel"},
		{"kernel argument with a line feed", func(m *Machine) { m.KernelArgs = []string{"quiet", "a\nb"} }, "KernelArgs[1]"},
		{"empty kernel argument", func(m *Machine) { m.KernelArgs = []string{""} }, "KernelArgs[0]"},
		{"endless kernel arguments", func(m *Machine) { m.KernelArgs = []string{strings.Repeat("x", 2000)} }, "KernelArgs"},
		{"disk without id", func(m *Machine) { m.Disks[0].ID = "" }, "Disks[0].ID"},
		{"disk id with a comma", func(m *Machine) { m.Disks[0].ID = "a,b" }, "Disks[0].ID"},
		{"two disks, one id", func(m *Machine) { m.Disks[1].ID = m.Disks[0].ID }, "Disks[1].ID"},
		{"two disks, one serial", func(m *Machine) { m.Disks[1].Serial = m.Disks[0].Serial }, "Disks[1].Serial"},
		{"long serial", func(m *Machine) { m.Disks[1].Serial = strings.Repeat("x", 21) }, "Disks[1].Serial"},
		{"disk without file", func(m *Machine) { m.Disks[0].Path = "" }, "Disks[0].Path"},
		{"disk with path and descriptor", func(m *Machine) { m.Disks[0].FD = 9 }, "Disks[0].Path"},
		{"unknown cache", func(m *Machine) { m.Disks[0].Cache = "none" }, "Disks[0].Cache"},
		{"share without tag", func(m *Machine) { m.Shares = []Share{{Kind: Share9P, Path: "/x"}} }, "Shares[0].Tag"},
		{"two shares, one tag", func(m *Machine) {
			m.Shares = []Share{{Tag: "a", Kind: Share9P, Path: "/x"}, {Tag: "a", Kind: Share9P, Path: "/y"}}
		}, "Shares[1].Tag"},
		{"share of no kind", func(m *Machine) { m.Shares = []Share{{Tag: "a", Kind: "nfs"}} }, "Shares[0].Kind"},
		{"9p without path", func(m *Machine) { m.Shares = []Share{{Tag: "a", Kind: Share9P}} }, "Shares[0].Path"},
		{"virtiofs without socket", func(m *Machine) { m.Shares = []Share{{Tag: "a", Kind: ShareVirtioFS}} }, "Shares[0].Socket"},
		{"virtiofs over private memory", func(m *Machine) {
			m.MemoryPath = "/ram"
			m.Shares = []Share{{Tag: "a", Kind: ShareVirtioFS, Socket: "/s"}}
		}, "Shares[0].Kind"},
		{"user network", nic(func(*NIC) {}), ""},
		{"no MAC", nic(func(n *NIC) { n.MAC = "" }), "NIC.MAC"},
		{"multicast MAC", nic(func(n *NIC) { n.MAC = "01:00:00:00:00:01" }), "NIC.MAC"},
		{"no backend", nic(func(n *NIC) { n.User = nil }), "NIC.User"},
		{"two backends", nic(func(n *NIC) { n.StreamFD = 9 }), "NIC.User"},
		{"unconnected", nic(func(n *NIC) { n.User, n.Unconnected = nil, true }), ""},
		{"unconnected with a backend", nic(func(n *NIC) { n.Unconnected = true }), "NIC.User"},
		{"tiny MTU", nic(func(n *NIC) { n.MTU = 10 }), "NIC.MTU"},
		{"IPv6 network", nic(func(n *NIC) { n.User.Network = "fd00::/64" }), "NIC.User.Network"},
		{"name server by name", nic(func(n *NIC) { n.User.DNS = "dns.example" }), "NIC.User.DNS"},
		{"forward of sctp", nic(func(n *NIC) { n.User.Forwards = []Forward{{"sctp", "", 1, 1}} }), "NIC.User.Forwards[0].Protocol"},
		{"forward from IPv6", nic(func(n *NIC) { n.User.Forwards = []Forward{{"tcp", "::1", 1, 1}} }), "NIC.User.Forwards[0].HostIP"},
		{"forward from port 0", nic(func(n *NIC) { n.User.Forwards = []Forward{{"tcp", "", 0, 1}} }), "NIC.User.Forwards[0].HostPort"},
		{"forward to port 70000", nic(func(n *NIC) { n.User.Forwards = []Forward{{"tcp", "", 1, 70000}} }), "NIC.User.Forwards[0].GuestPort"},
		{"hot-plug on microvm", func(m *Machine) { m.Board, m.HotplugPorts = BoardMicroVM, 1 }, "HotplugPorts"},
		{"many ports", func(m *Machine) { m.HotplugPorts = 17 }, "HotplugPorts"},
		{"generation id on microvm", func(m *Machine) { m.Board, m.GenerationID = BoardMicroVM, "auto" }, "GenerationID"},
		{"generation id that is none", func(m *Machine) { m.GenerationID = "1,guid=2" }, "GenerationID"},
		{"incoming from a program", func(m *Machine) { m.Incoming = "exec:cat /etc/passwd" }, "Incoming"},
		{"incoming from a standard descriptor", func(m *Machine) { m.Incoming = "fd:0" }, "Incoming"},
		{"incoming later", func(m *Machine) { m.Incoming = "defer" }, ""},
		{"incoming without a kernel", func(m *Machine) { m.Incoming, m.Kernel, m.Initrd, m.KernelArgs = "defer", "", "", nil }, ""},
		{"incoming, arguments for no kernel", func(m *Machine) { m.Incoming, m.Kernel, m.Initrd = "defer", "", "" }, "Kernel"},
		{"standard descriptor", func(m *Machine) { m.AgentFD = 2 }, "AgentFD"},
		{"descriptor used twice", func(m *Machine) { m.AgentFD = m.QMPFD }, "AgentFD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := baseMachine(BoardQ35, AccelTCG)
			tt.edit(&m)
			err := m.Validate()
			if tt.field == "" {
				if err != nil {
					t.Errorf("Validate = %v, want nil", err)
				}
				return
			}
			var field *FieldError
			if !errors.As(err, &field) || field.Field != tt.field {
				t.Errorf("Validate = %v, want a FieldError of %s", err, tt.field)
			}
		})
	}
}

func TestTooLittleMemory(t *testing.T) {
	m := baseMachine(BoardQ35, AccelTCG)
	m.MemoryBytes = 4 << 20
	var memory *MemoryError
	if err := m.Validate(); !errors.As(err, &memory) || memory.LeastBytes != LeastMemoryBytes(BoardQ35) {
		t.Fatalf("Validate = %v, want a MemoryError that says the least", err)
	}
	m.MemoryBytes = memory.LeastBytes
	if err := m.Validate(); err != nil {
		t.Errorf("with the least: %v", err)
	}
}
