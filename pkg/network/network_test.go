package network

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vpod/pkg/container"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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
		t.Errorf("%s differs; run with -update and look at the change. Got:\n%s", path, got)
	}
}

// planText shows a plan with its files readable.
func planText(t *testing.T, p *Plan) string {
	t.Helper()
	shown := *p
	shown.Files = nil
	b, err := json.MarshalIndent(shown, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.Write(b)
	out.WriteByte('\n')
	for _, f := range p.Files {
		out.WriteString("\n--- " + f.Path + "\n" + string(f.Data))
	}
	return out.String()
}

func testHost() Host {
	return Host{
		Address:    netip.MustParseAddr("192.0.2.2"),
		Hosts:      []byte("127.0.0.1 localhost\n# comment\n127.0.1.1\tdesk desk.example # me\n"),
		ResolvConf: []byte("search example\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n"),
	}
}

func mappings(t *testing.T, texts ...string) []container.PortMapping {
	t.Helper()
	var out []container.PortMapping
	for _, s := range texts {
		m, err := container.ParsePortMapping(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

func TestNew(t *testing.T) {
	user := func(n container.Network) Container {
		n.Mode, n.MAC = container.NetworkUser, "02:00:00:00:00:01"
		return Container{Name: "web", Hostname: "0123456789ab", Network: n}
	}
	withPasst := func(change func(*Host)) Host {
		h := testHost()
		h.Passt = "/usr/bin/passt"
		if change != nil {
			change(&h)
		}
		return h
	}
	tests := []struct {
		name string
		c    Container
		host Host
	}{
		{name: "none", c: Container{Name: "web", Hostname: "box", Network: container.Network{Mode: container.NetworkNone}}, host: testHost()},
		{name: "user", c: user(container.Network{Ports: mappings(t, "127.0.0.1:8080:80", "9000-9001:90-91/udp")}), host: testHost()},
		{name: "passt", c: user(container.Network{Ports: mappings(t, "127.0.0.1:8080:80", "9000-9001:90-91/udp")}), host: withPasst(nil)},
		{name: "passt-ipv6", c: user(container.Network{Ports: mappings(t, "[::1]:8080:80")}), host: withPasst(func(h *Host) { h.Interface6 = "wlan0" })},
		{name: "passt-resolved", c: user(container.Network{}), host: withPasst(func(h *Host) { h.ResolvConf = []byte("nameserver 127.0.0.53\n") })},
		{name: "files", c: user(container.Network{
			AddHosts: []string{"db:10.1.1.1", "gate:host-gateway"}, DNS: []string{"9.9.9.9"}, DNSSearch: []string{"x.example"}, DNSOptions: []string{"ndots:3"},
		}), host: withPasst(nil)},
		{name: "no-files", c: user(container.Network{NoHosts: true, DNS: []string{"none"}}), host: withPasst(nil)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := New(tt.c, tt.host)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name+".plan", planText(t, p))
		})
	}
}

func TestNewErrors(t *testing.T) {
	user := func(n container.Network) container.Network {
		n.Mode, n.MAC = container.NetworkUser, "02:00:00:00:00:01"
		return n
	}
	passt := Host{Passt: "/usr/bin/passt"}
	tests := []struct {
		name    string
		network container.Network
		host    Host
		want    string
	}{
		{name: "mode", network: container.Network{Mode: "bridge"}, want: `unknown network mode "bridge": use user or none`},
		{name: "dns with none", network: container.Network{Mode: container.NetworkNone, DNS: []string{"1.1.1.1"}}, want: "conflicting options: dns and the network mode: none"},
		{name: "no mac", network: container.Network{Mode: container.NetworkUser}, want: `invalid MAC address ""`},
		{name: "multicast mac", network: container.Network{Mode: container.NetworkUser, MAC: "01:00:00:00:00:01"}, want: "multicast"},
		{name: "long mac", network: container.Network{Mode: container.NetworkUser, MAC: "02:00:00:00:00:01:02:03"}, want: "invalid MAC"},
		{name: "hosts twice", network: user(container.Network{NoHosts: true, AddHosts: []string{"a:1.2.3.4"}}), want: "--no-hosts and --add-host cannot be set together"},
		{name: "add-host", network: user(container.Network{AddHosts: []string{"a"}}), want: `bad format for add-host: "a"`},
		{name: "add-host address", network: user(container.Network{AddHosts: []string{"a:b:c"}}), want: `invalid IP address in add-host: "b:c"`},
		{name: "add-host name", network: user(container.Network{AddHosts: []string{"a b:1.2.3.4"}}), want: `bad name in add-host: "a b:1.2.3.4"`},
		{name: "no gateway", network: user(container.Network{AddHosts: []string{"a:host-gateway"}}), want: "no address a container could reach"},
		{name: "dns", network: user(container.Network{DNS: []string{"bad"}}), want: "bad is not an ip address"},
		{name: "dns none and more", network: user(container.Network{DNS: []string{"none", "1.1.1.1"}}), want: "none is not allowed to be specified with other DNS ip addresses"},
		{name: "search", network: user(container.Network{DNSSearch: []string{"a\nnameserver 1.1.1.1"}}), want: "white space"},
		{name: "no host port", network: user(container.Network{Ports: mappings(t, "80")}), want: "no host port was chosen"},
		{name: "conflict", network: user(container.Network{Ports: mappings(t, "8080:80", "8080:81")}), want: "conflicting port mappings for host port 8080 (protocol tcp)"},
		{name: "IPv6 without passt", network: user(container.Network{Ports: mappings(t, "[::1]:8080:80")}), want: "cannot publish [::1]:8080/tcp: QEMU's built-in network has no IPv6: install passt"},
		{name: "IPv6 without route", network: user(container.Network{Ports: mappings(t, "[::1]:8080:80")}), host: passt, want: "no IPv6 default route"},
		{name: "two addresses", network: user(container.Network{Ports: mappings(t, "127.0.0.1:8080:80", "192.0.2.2:8080:80")}), host: passt, want: "both 127.0.0.1 and 192.0.2.2"},
		{name: "all and one", network: user(container.Network{Ports: mappings(t, "8080:80", "192.0.2.2:8080:80")}), host: passt, want: "both 0.0.0.0 and 192.0.2.2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := New(Container{Network: tt.network}, tt.host); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q in it", err, tt.want)
			}
		})
	}
	// What one back end refuses the other may do.
	if _, err := New(Container{Network: user(container.Network{Ports: mappings(t, "127.0.0.1:8080:80", "192.0.2.2:8080:80")})}, Host{}); err != nil {
		t.Errorf("two addresses behind QEMU's NAT: %v", err)
	}
}

func TestNewMAC(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewMAC()
		mac, err := ParseMAC(s)
		if err != nil || mac[0]&2 == 0 || seen[s] {
			t.Fatalf("NewMAC = %s, %v; seen before: %v", s, err, seen[s])
		}
		seen[s] = true
	}
}

func TestDefaultInterface6(t *testing.T) {
	const zero = "00000000000000000000000000000000"
	line := func(dest, bits, metric, flags, dev string) string {
		return dest + " " + bits + " " + zero + " 00 " + zero + " " + metric + " 00000001 00000000 " + flags + "  " + dev + "\n"
	}
	tests := []struct{ name, routes, want string }{
		{name: "no IPv6"},
		{name: "no default", routes: line("fd000000000000000000000000000000", "40", "00000100", "00000001", "eth0") + line(zero, "00", "ffffffff", "00200200", "lo")},
		{name: "default", routes: line(zero, "00", "00000400", "00000003", "eth0"), want: "eth0"},
		{name: "best of two", routes: line(zero, "00", "00000400", "00000003", "eth0") + line(zero, "00", "00000064", "00000003", "wlan0"), want: "wlan0"},
		{name: "rejecting", routes: line(zero, "00", "00000400", "00000201", "eth0")},
		{name: "host route to ::", routes: line(zero, "80", "00000400", "00000003", "eth0")},
		{name: "nonsense", routes: "x\n" + zero + " 00\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := defaultInterface6([]byte(tt.routes)); got != tt.want {
				t.Errorf("defaultInterface6 = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReadHost(t *testing.T) {
	base := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(base, []byte("192.0.2.9 nine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for option, want := range map[string]string{base: "192.0.2.9 nine\n", "none": "", "image": ""} {
		h, err := ReadHost(HostOptions{HostsFile: option})
		if err != nil || string(h.Hosts) != want {
			t.Errorf("ReadHost(%s): hosts = %q, %v; want %q", option, h.Hosts, err, want)
		}
	}
	if _, err := ReadHost(HostOptions{HostsFile: base + "x"}); err == nil {
		t.Error("a missing base file is no error")
	}
	if h, err := ReadHost(HostOptions{}); err != nil || h.Address.IsValid() && h.Address.IsLoopback() {
		t.Errorf("ReadHost = %+v, %v", h, err)
	}
}
