package qemu

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// baseMachine is a plain container's machine.
func baseMachine(board Board, accel Accel) Machine {
	return Machine{
		Name: "vpod-0123456789ab", Board: board, Accel: accel,
		MemoryBytes: 256 << 20, CPUs: 1,
		Kernel: "/usr/lib/vpod/vmlinux", Initrd: "/usr/lib/vpod/initramfs",
		KernelArgs: []string{"tsc_early_khz=2100000", "lpj=21000000"},
		Disks: []Disk{
			{ID: "lower0", Path: "/home/user/.local/share/vpod/images/a.erofs", ReadOnly: true, Serial: "lower-1"},
			{ID: "scratch0", Path: "/home/user/.local/share/vpod/c/scratch.ext4", Cache: CacheUnsafe, Serial: "scratch-1"},
		},
		QMPFD: 3, ConsoleFD: 4, AgentFD: 5,
	}
}

func TestArgsGolden(t *testing.T) {
	userNet := &NIC{MAC: "52:54:00:12:34:56", User: &UserNet{
		Network: "10.0.2.0/24", Host: "10.0.2.2", DNS: "10.0.2.3", Guest: "10.0.2.15",
		Forwards: []Forward{{"tcp", "", 8080, 80}, {"udp", "127.0.0.1", 5353, 53}},
	}}
	tests := []struct {
		name string
		m    Machine
		edit func(*Machine)
	}{
		{"q35-tcg", baseMachine(BoardQ35, AccelTCG), nil},
		{"q35-kvm", baseMachine(BoardQ35, AccelKVM), func(m *Machine) { m.CPUs, m.MaxCPUs = 2, 8; m.HotplugPorts = 4 }},
		{"q35-tcg-user-network", baseMachine(BoardQ35, AccelTCG), func(m *Machine) { m.NIC = userNet }},
		{"q35-tcg-restricted-network", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.NIC = &NIC{MAC: "52:54:00:12:34:56", User: &UserNet{Restrict: true}}
		}},
		{"q35-kvm-passt", baseMachine(BoardQ35, AccelKVM), func(m *Machine) {
			m.NIC = &NIC{MAC: "52:54:00:12:34:56", MTU: 65520, StreamFD: 6}
		}},
		{"microvm-tcg", baseMachine(BoardMicroVM, AccelTCG), nil},
		{"microvm-kvm-user-network", baseMachine(BoardMicroVM, AccelKVM), func(m *Machine) { m.NIC = userNet }},
		{"microvm-tcg-passt", baseMachine(BoardMicroVM, AccelTCG), func(m *Machine) { m.NIC = &NIC{MAC: "52:54:00:12:34:56", StreamFD: 6} }},
		{"q35-tcg-9p", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.Disks = nil
			m.Shares = []Share{
				{Tag: "root", Kind: Share9P, Path: "/home/a,b/merged", ReadOnly: true},
				{Tag: "data", Kind: Share9P, Path: "/srv/data", Mapped: true},
			}
		}},
		{"q35-tcg-virtiofs", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.Shares = []Share{{Tag: "root", Kind: ShareVirtioFS, FD: 6}, {Tag: "vol", Kind: ShareVirtioFS, Socket: "/run/vpod/fs.sock"}}
		}},
		{"microvm-tcg-virtiofs", baseMachine(BoardMicroVM, AccelTCG), func(m *Machine) {
			m.Shares = []Share{{Tag: "root", Kind: ShareVirtioFS, FD: 6}}
		}},
		{"q35-tcg-template", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.MemoryPath, m.MemoryShared = "/cache/template.ram", true
			m.GenerationID = "auto"
		}},
		{"q35-tcg-clone", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.MemoryPath, m.Incoming, m.Paused = "/cache/template.ram", "fd:6", true
			m.GenerationID = "8A7B1D2C-0000-4000-8000-0123456789AB"
		}},
		{"q35-tcg-template-unconnected", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.MemoryPath, m.MemoryShared = "/cache/template.ram", true
			m.NIC = &NIC{MAC: "52:54:00:00:00:01", MTU: 65520, Unconnected: true}
		}},
		{"microvm-tcg-template-unconnected", baseMachine(BoardMicroVM, AccelTCG), func(m *Machine) {
			m.MemoryPath, m.MemoryShared = "/cache/template.ram", true
			m.NIC = &NIC{MAC: "52:54:00:00:00:01", Unconnected: true}
		}},
		{"q35-tcg-clone-without-kernel", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.MemoryPath, m.Incoming = "/cache/template.ram", "defer"
			m.Kernel, m.Initrd, m.KernelArgs = "", "", nil
			m.NIC = &NIC{MAC: "52:54:00:12:34:56", MTU: 65520, StreamFD: 6}
		}},
		{"q35-tcg-descriptors", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.Disks = []Disk{{ID: "lower0", FD: 6, ReadOnly: true}, {ID: "scratch0", FD: 7}}
		}},
		{"q35-tcg-bare", Machine{Name: "bare", Board: BoardQ35, Accel: AccelTCG, MemoryBytes: 64 << 20, CPUs: 1, Kernel: "/vmlinux"}, nil},
		{"q35-tcg-odd-names", baseMachine(BoardQ35, AccelTCG), func(m *Machine) {
			m.Name = "it's, me"
			m.Kernel = "/home/a b/vm,linux"
			m.Disks = []Disk{{ID: "d", Path: "/home/x,readonly=off/it's $HOME.img"}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.edit != nil {
				tt.edit(&tt.m)
			}
			args, err := tt.m.Args()
			if err != nil {
				t.Fatal(err)
			}
			if again, _ := tt.m.Args(); !reflect.DeepEqual(args, again) {
				t.Error("a second call gives other arguments")
			}
			golden(t, tt.name, oneOptionPerLine(args))
		})
	}
}

// oneOptionPerLine is a form in which a changed argument is a changed line.
func oneOptionPerLine(args []string) string {
	var b strings.Builder
	for i, arg := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(arg, "-"):
			b.WriteByte('\n')
		default:
			b.WriteByte(' ')
		}
		b.WriteString(quote(arg))
	}
	return b.String() + "\n"
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "args", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update rewrites it):\n got:\n%s\nwant:\n%s", path, got, want)
	}
}

func TestCmdlineIsReadBackByAShell(t *testing.T) {
	words := []string{"plain", "a b", "it's", `back\slash`, `"quoted"`, "$HOME", "*", "", "new\nline", "a,,b=c", "~", "ümlaut"}
	// The shell's printf ends each word with a zero byte.
	out, err := exec.Command("sh", "-c", "printf '%s\\0' "+Cmdline("qemu", words)).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if want := append([]string{"qemu"}, words...); !reflect.DeepEqual(got, want) {
		t.Errorf("shell read %q, want %q", got, want)
	}
}

func TestArgsRefusesWhatValidateRefuses(t *testing.T) {
	m := baseMachine("pc", AccelTCG)
	var field *FieldError
	if args, err := m.Args(); args != nil || !errors.As(err, &field) {
		t.Errorf("Args = %v, %v; want a FieldError", args, err)
	}
}
