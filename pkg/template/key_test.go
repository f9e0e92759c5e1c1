package template

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpod/pkg/qemu"
)

// installed is a machine whose files and whose QEMU exist.
func installed(t *testing.T) (m qemu.Machine, program string) {
	t.Helper()
	dir := t.TempDir()
	m = ordinaryMachine()
	program, m.Kernel, m.Initrd = filepath.Join(dir, "qemu"), filepath.Join(dir, "vmlinux"), filepath.Join(dir, "initramfs")
	for _, path := range []string{program, m.Kernel, m.Initrd} {
		if err := os.WriteFile(path, []byte("of "+path), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return m, program
}

// copyMachine is m with lists and NIC of its own.
func copyMachine(m qemu.Machine) qemu.Machine {
	m.KernelArgs = append([]string(nil), m.KernelArgs...)
	m.Disks = append([]qemu.Disk(nil), m.Disks...)
	nic := *m.NIC
	m.NIC = &nic
	return m
}

func TestKeyDependsOnTheMachineAlone(t *testing.T) {
	m, program := installed(t)
	first, err := Key(m, program)
	if err != nil {
		t.Fatal(err)
	}
	if !checkKey(first) {
		t.Errorf("%q is no key", first)
	}
	tests := []struct {
		name string
		edit func(*qemu.Machine)
		same bool
	}{
		{"nothing", func(*qemu.Machine) {}, true},
		{"name", func(m *qemu.Machine) { m.Name = "vpod-db" }, true},
		{"path of a disk", func(m *qemu.Machine) { m.Disks[1].Path = "/data/containers/3/scratch.img" }, true},
		{"cache of a disk", func(m *qemu.Machine) { m.Disks[1].Cache = qemu.CacheWriteback }, true},
		{"MAC", func(m *qemu.Machine) { m.NIC.MAC = "52:54:00:12:34:56" }, true},
		{"ports", func(m *qemu.Machine) { m.NIC.User = &qemu.UserNet{} }, true},
		{"back end of the network", func(m *qemu.Machine) { m.NIC.User, m.NIC.StreamFD = nil, 6 }, true},
		{"descriptors", func(m *qemu.Machine) { m.QMPFD, m.ConsoleFD, m.AgentFD = 3, 4, 5 }, true},

		{"board", func(m *qemu.Machine) { m.Board = qemu.BoardMicroVM }, false},
		{"accelerator", func(m *qemu.Machine) { m.Accel = qemu.AccelKVM }, false},
		{"memory", func(m *qemu.Machine) { m.MemoryBytes = 256 << 20 }, false},
		{"processors", func(m *qemu.Machine) { m.CPUs = 1 }, false},
		{"room for processors", func(m *qemu.Machine) { m.MaxCPUs = 4 }, false},
		{"kernel argument", func(m *qemu.Machine) { m.KernelArgs = append(m.KernelArgs, "x=1") }, false},
		{"order of kernel arguments", func(m *qemu.Machine) {
			m.KernelArgs[0], m.KernelArgs[1] = m.KernelArgs[1], m.KernelArgs[0]
		}, false},
		{"a disk less", func(m *qemu.Machine) { m.Disks = m.Disks[:1] }, false},
		{"a disk more", func(m *qemu.Machine) { m.Disks = append(m.Disks, qemu.Disk{ID: "more", Path: "/x"}) }, false},
		{"writable disk", func(m *qemu.Machine) { m.Disks[0].ReadOnly = false }, false},
		{"serial number of a disk", func(m *qemu.Machine) { m.Disks[0].Serial = "other" }, false},
		{"no network", func(m *qemu.Machine) { m.NIC = nil }, false},
		{"MTU", func(m *qemu.Machine) { m.NIC.MTU = 1500 }, false},
		{"hot-plug ports", func(m *qemu.Machine) { m.HotplugPorts = 1 }, false},
		{"generation id", func(m *qemu.Machine) { m.GenerationID = "auto" }, false},
	}
	keys := map[string]string{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := copyMachine(m)
			tt.edit(&m)
			key, err := Key(m, program)
			if err != nil {
				t.Fatal(err)
			}
			if (key == first) != tt.same {
				t.Errorf("key %s, first was %s; want the same: %t", key, first, tt.same)
			}
			if other, taken := keys[key]; taken && !tt.same {
				t.Errorf("the same key as with %s", other)
			}
			keys[key] = tt.name
		})
	}
}

func TestKeyDependsOnFiles(t *testing.T) {
	m, program := installed(t)
	key := func() string {
		t.Helper()
		k, err := Key(m, program)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for _, path := range []string{program, m.Kernel, m.Initrd} {
		was := key()
		// Installed anew: another inode with the same content, size and time.
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte("of "+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path+".new", info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		replaced := key()
		if replaced == was {
			t.Errorf("%s was replaced and the key stays", filepath.Base(path))
		}
		// Written in place, with a time that tells nothing; ctime does.
		time.Sleep(20 * time.Millisecond) // more than the clock of file systems takes to move on
		if err := os.WriteFile(path, []byte("OF "+path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
			t.Fatal(err)
		}
		if key() == replaced {
			t.Errorf("%s was written to and the key stays", filepath.Base(path))
		}
	}
	for _, missing := range []string{program, m.Kernel, m.Initrd} {
		if err := os.Rename(missing, missing+".away"); err != nil {
			t.Fatal(err)
		}
		if k, err := Key(m, program); err == nil {
			t.Errorf("without %s the key is %s, want an error", filepath.Base(missing), k)
		}
		if err := os.Rename(missing+".away", missing); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessor(t *testing.T) {
	const first = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Some CPU\nstepping\t: 7\nmicrocode\t: 0x1\n" +
		"cpu MHz\t\t: 2499.998\nflags\t\t: fpu vme sse\nbogomips\t: 4999.99\n"
	describe := func(content string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "cpuinfo")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := processor(path)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	want := describe(first)
	if !strings.Contains(want, "0x1") || !strings.Contains(want, "fpu vme sse") || strings.Contains(want, "MHz") {
		t.Errorf("processor = %q", want)
	}
	for _, same := range []string{
		strings.Replace(first, "2499.998", "1200.000", 1),
		first + "\n" + strings.Replace(first, "processor\t: 0", "processor\t: 1", 1),
		first + "\nprocessor\t: 1\nflags\t\t: fpu\n",
	} {
		if got := describe(same); got != want {
			t.Errorf("of %q: %q, want %q", same, got, want)
		}
	}
	for _, other := range []string{strings.Replace(first, "0x1", "0x2", 1), strings.Replace(first, "vme ", "", 1), strings.Replace(first, "85", "86", 1)} {
		if describe(other) == want {
			t.Errorf("another processor is taken for the same: %q", other)
		}
	}
	if _, err := processor(filepath.Join(t.TempDir(), "nosuch")); err == nil {
		t.Error("no error without the file")
	}
}

func TestCheckKey(t *testing.T) {
	for _, name := range []string{"", "0123", "0123456789abcde", "0123456789abcdefg", "0123456789abcdeg", "../../../../etc/x", "0123456789abcdef.lock"} {
		if checkKey(name) {
			t.Errorf("checkKey(%q) = true", name)
		}
	}
}
