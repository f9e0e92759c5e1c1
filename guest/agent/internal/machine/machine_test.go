package machine

import (
	"encoding/hex"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

func TestParseNIC(t *testing.T) {
	good := agentproto.NIC{MAC: "52:54:00:AB:cd:01", Name: "eth0", Addresses: []string{"10.0.2.15/24", "fd00::5/64"}, Gateways: []string{"10.0.2.2", "fe80::1"}, MTU: 1400}
	for _, tt := range []struct {
		name   string
		change func(*agentproto.NIC)
		ok     bool
	}{
		{"good", func(*agentproto.NIC) {}, true},
		{"no addresses", func(n *agentproto.NIC) { n.Addresses, n.Gateways = nil, nil }, true},
		{"no name", func(n *agentproto.NIC) { n.Name = "" }, false},
		{"name with a slash", func(n *agentproto.NIC) { n.Name = "a/b" }, false},
		{"long name", func(n *agentproto.NIC) { n.Name = strings.Repeat("x", 16) }, false},
		{"short MAC", func(n *agentproto.NIC) { n.MAC = "52:54:00" }, false},
		{"MAC of other digits", func(n *agentproto.NIC) { n.MAC = "52:54:00:12:34:5g" }, false},
		{"address without length", func(n *agentproto.NIC) { n.Addresses = []string{"10.0.0.1"} }, false},
		{"gateway with length", func(n *agentproto.NIC) { n.Gateways = []string{"10.0.0.1/8"} }, false},
		{"negative MTU", func(n *agentproto.NIC) { n.MTU = -1 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := good
			tt.change(&n)
			got, err := parseNIC(n)
			if (err == nil) != tt.ok {
				t.Fatalf("parseNIC(%+v) = %v, want ok: %t", n, err, tt.ok)
			}
			if tt.ok && hex.EncodeToString(got.mac) != "525400abcd01" {
				t.Errorf("mac = %x", got.mac)
			}
		})
	}
}

func TestWallClock(t *testing.T) {
	const then = 1_700_000_000_000_000_000
	if got := wallClock(&agentproto.Machine{TimeUnixNano: then}); got != then {
		t.Errorf("with no clock it is %d, want %d as it was sent", got, int64(then))
	}
	// Three seconds have gone by in the guest since it was then.
	past := MonotonicNanos() - 3_000_000_000
	if late := wallClock(&agentproto.Machine{TimeUnixNano: then, ClockNanos: past}) - then; late < 3_000_000_000 || late > 60_000_000_000 {
		t.Errorf("it is %d ns later, want three seconds and a bit", late)
	}
	// A guest's clock that has not come so far yet is not believed.
	if got := wallClock(&agentproto.Machine{TimeUnixNano: then, ClockNanos: MonotonicNanos() + 1<<40}); got != then {
		t.Errorf("with a clock that is ahead it is %d, want %d", got, int64(then))
	}
}

func TestChoose(t *testing.T) {
	a, b := []byte{1, 1, 1, 1, 1, 1}, []byte{2, 2, 2, 2, 2, 2}
	have := []link{{index: 1, name: "lo"}, {index: 2, ether: true, made: true, mac: []byte{3}}, {index: 3, ether: true, mac: a}, {index: 4, ether: true, mac: b}}
	for _, tt := range []struct {
		name string
		mac  []byte
		have []link
		want int
	}{
		{"by address", b, have, 3},
		{"first device when none has it", []byte{9, 9, 9, 9, 9, 9}, have, 2},
		{"by address, though no device", []byte{3}, have, 1},
		{"none", a, have[:2], -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := choose(tt.mac, tt.have); got != tt.want {
				t.Errorf("choose = %d, want %d", got, tt.want)
			}
		})
	}
}

func TestAddressRequest(t *testing.T) {
	r := addressRequest(2, netip.MustParsePrefix("10.0.2.15/24"))
	want := "02180200" + "02000000" + "080002000a00020f" + "080001000a00020f" + "080004000a0002ff"
	if got := hex.EncodeToString(r.body); got != want {
		t.Errorf("body = %s, want %s", got, want)
	}
}

// TestConfigure sets up a dummy interface in a network namespace of its own.
func TestConfigure(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: makes a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread goes with its namespace
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace: %v", err)
	}
	ip := func(args ...string) string {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			t.Skipf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	ip("link", "add", "tmp7", "type", "veth", "peer", "name", "other")
	ip("link", "set", "other", "up")
	if err := LoopbackUp(); err != nil {
		t.Fatalf("LoopbackUp: %v", err)
	}
	mac := strings.TrimSpace(strings.Fields(strings.SplitAfter(ip("-o", "link", "show", "tmp7"), "link/ether")[1])[0])
	for range 2 { // a second time changes nothing and fails at nothing
		err := SetupNICs([]agentproto.NIC{{MAC: mac, Name: "eth0", MTU: 1400,
			Addresses: []string{"10.9.8.7/24", "fd00::7/64"}, Gateways: []string{"10.9.8.1", "fd00::1"}}})
		if err != nil {
			t.Fatalf("SetupNICs: %v", err)
		}
	}
	for _, tt := range []struct{ args, want string }{
		{"-o addr show lo", "127.0.0.1/8"},
		{"-o link show eth0", "mtu 1400"},
		{"-o link show eth0", "LOWER_UP"},
		{"-o -4 addr show eth0", "inet 10.9.8.7/24 brd 10.9.8.255"},
		{"-o -6 addr show eth0", "fd00::7/64 scope global nodad"},
		{"-4 route show", "default via 10.9.8.1 dev eth0"},
		{"-6 route show", "default via fd00::1 dev eth0"},
	} {
		if out := ip(strings.Fields(tt.args)...); !strings.Contains(out, tt.want) {
			t.Errorf("ip %s:\n%s\nhas no %q", tt.args, out, tt.want)
		}
	}
}
