package engine

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
	"vpod/pkg/monitor"
	"vpod/pkg/qemu"
)

// unixPair returns both ends of a connection.
func unixPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "end")
		conn, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		ends[i] = conn.(*net.UnixConn)
	}
	return ends[0], ends[1]
}

func TestReadLoan(t *testing.T) {
	whole, err := json.Marshal(loanRequest{Container: agentID("c"), Launch: &monitor.Launch{QEMU: "/q"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		text string
		fds  int
		good bool
	}{
		{"whole", string(whole) + "\n", 1, true},
		{"without a tree", string(whole) + "\n", 0, false},
		{"with two", string(whole) + "\n", 2, false},
		{"half of it", string(whole), 1, false},
		{"nothing", "", 1, false},
		{"no JSON", "{\n", 1, false},
		{"no machine", `{"container":"c"}` + "\n", 1, false},
		{"no container", `{"launch":{}}` + "\n", 1, false},
		{"too long", `{"container":"` + strings.Repeat("c", maxLoanRequest) + "\n", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keeper, shim := unixPair(t)
			go func() {
				var fds []int
				for range tt.fds {
					fds = append(fds, int(os.Stderr.Fd()))
				}
				var rights []byte
				if len(fds) > 0 {
					rights = unix.UnixRights(fds...)
				}
				_, _, _ = shim.WriteMsgUnix([]byte{' '}, rights, nil)
				_, _ = shim.Write([]byte(tt.text)) // until the reader has had enough
				shim.Close()
			}()
			tree, req, err := readLoan(keeper)
			if (err == nil) != tt.good {
				t.Fatalf("readLoan: %+v, %v", req, err)
			}
			keeper.Close()
			if !tt.good {
				return
			}
			defer unix.Close(tree)
			if req.Container != agentID("c") || req.Launch.QEMU != "/q" {
				t.Errorf("readLoan = %+v", req)
			}
			if flags, err := unix.FcntlInt(uintptr(tree), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("the tree's descriptor has flags %#x, %v", flags, err)
			}
		})
	}
}

// TestMachineKind wants steps to share machines that differ in names alone.
func TestMachineKind(t *testing.T) {
	kind := func(change func(l *monitor.Launch)) string {
		l := &monitor.Launch{
			Machine: qemu.Machine{Name: "vpod-a", MemoryBytes: 1 << 29, NIC: &qemu.NIC{MAC: "02:00:00:00:00:01"}},
			Guest:   agentproto.Machine{Hostname: "a", NICs: []agentproto.NIC{{MAC: "02:00:00:00:00:01", Name: "eth0"}}},
		}
		change(l)
		k, err := machineKind(l)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	base := kind(func(*monitor.Launch) {})
	same := kind(func(l *monitor.Launch) {
		l.Machine.Name, l.Guest.Hostname = "vpod-b", "b"
		l.Machine.NIC.MAC, l.Guest.NICs[0].MAC = "02:00:00:00:00:02", "02:00:00:00:00:02"
		l.DataDir, l.Containers = "/x", []monitor.LaunchContainer{{ID: "c"}}
	})
	if same != base {
		t.Errorf("machines that differ in names are of kinds\n%s\n%s", base, same)
	}
	for name, change := range map[string]func(l *monitor.Launch){
		"memory":  func(l *monitor.Launch) { l.Machine.MemoryBytes++ },
		"network": func(l *monitor.Launch) { l.Machine.NIC, l.Guest.NICs = nil, nil },
		"passt":   func(l *monitor.Launch) { l.Network.Passt = "/usr/bin/passt" },
		"address": func(l *monitor.Launch) { l.Guest.NICs[0].Addresses = []string{"10.0.2.15/24"} },
	} {
		if kind(change) == base {
			t.Errorf("a machine of another %s is of the same kind", name)
		}
	}
}

// TestMachineKindKeeps wants the orders as they were: a machine may be started by them.
func TestMachineKindKeeps(t *testing.T) {
	l := &monitor.Launch{Machine: qemu.Machine{Name: "n", NIC: &qemu.NIC{MAC: "m"}}, Guest: agentproto.Machine{NICs: []agentproto.NIC{{MAC: "m"}}}}
	if _, err := machineKind(l); err != nil {
		t.Fatal(err)
	}
	if l.Machine.Name != "n" || l.Machine.NIC.MAC != "m" || l.Guest.NICs[0].MAC != "m" {
		t.Errorf("the orders are %+v", l)
	}
}

// TestOpenKeeper wants the directory by the name its keeper knows it by, however the
// directories above are reached.
func TestOpenKeeper(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"keeper": "keeper.1", "away": "../keeper.1", "above": dir} {
		if err := os.Symlink(target, filepath.Join(dir, "real."+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, "way")); err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]string{
		filepath.Join(dir, "way", "real.keeper"): filepath.Join(dir, "way", "keeper.1"),
		filepath.Join(dir, "real.away"):          "",
		filepath.Join(dir, "real.above"):         "",
		filepath.Join(dir, "none"):               "",
		"":                                       "",
	} {
		if got := openKeeper(link); string(got) != want {
			t.Errorf("openKeeper(%q) = %q, want %q", link, got, want)
		}
	}
}

// Whoever calls it by hand would lose the mounts of other containers.
func TestKeeperNeedsMountsOfItsOwn(t *testing.T) {
	for _, leash := range []int{0, os.Getpid()} {
		if err := checkOwnMounts(leash); err == nil {
			t.Errorf("a keeper of process %d may be in our mount namespace", leash)
		}
	}
}
