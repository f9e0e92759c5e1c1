package network

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

func TestHostsFile(t *testing.T) {
	host, own := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("10.0.2.15")
	tests := []struct {
		name   string
		config hostsConfig
		want   string
	}{
		{
			name:   "nothing given",
			config: hostsConfig{own: own, names: []string{"box", "web"}},
			want:   "127.0.0.1\tlocalhost\n::1\tlocalhost\n10.0.2.15\tbox web\n",
		},
		{
			// As podman 4.3.1 writes it, but for host.docker.internal that came later.
			name:   "like podman",
			config: hostsConfig{base: []byte("127.0.0.1 localhost\n127.0.0.1 runsc\n127.0.0.1 vm\n"), host: host, own: netip.MustParseAddr("127.0.0.1"), names: []string{"0f591e409288", "n1"}},
			want:   "127.0.0.1\tlocalhost\n127.0.0.1\trunsc\n127.0.0.1\tvm\n192.0.2.2\thost.containers.internal host.docker.internal\n127.0.0.1\t0f591e409288 n1\n",
		},
		{
			name:   "the user's names hold",
			config: hostsConfig{extra: []string{"web:1.2.3.4", "localhost;lo:127.0.0.2", "six:[2001:DB8::1]", "gate:host-gateway"}, host: host, own: own, names: []string{"box", "web"}},
			want:   "1.2.3.4\tweb\n127.0.0.2\tlocalhost lo\n2001:db8::1\tsix\n192.0.2.2\tgate\n192.0.2.2\thost.containers.internal host.docker.internal\n10.0.2.15\tbox\n",
		},
		{
			name:   "base with comments and odd lines",
			config: hostsConfig{base: []byte("# all\n\n1.1.1.1 # none\n2.2.2.2\ttwo deux#zwei\n  3.3.3.3   three"), own: own, names: []string{"two"}},
			want:   "2.2.2.2\ttwo deux\n3.3.3.3\tthree\n127.0.0.1\tlocalhost\n::1\tlocalhost\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hostsFile(tt.config)
			if err != nil || string(got) != tt.want {
				t.Errorf("hostsFile = %q, %v\nwant %q", got, err, tt.want)
			}
		})
	}
}

func TestChooseServers(t *testing.T) {
	tests := []struct {
		name  string
		asked []string
		host  []string
		ipv6  bool
		want  nameServers
	}{
		{name: "empty host", want: nameServers{addrs: []string{dnsAddr}, forward4: true}},
		{name: "as the host", host: []string{"192.0.2.53", "192.0.2.54", "192.0.2.53"}, want: nameServers{addrs: []string{"192.0.2.53", "192.0.2.54"}}},
		{name: "systemd-resolved", host: []string{"127.0.0.53"}, want: nameServers{addrs: []string{dnsAddr}, forward4: true}},
		{name: "unspecified", host: []string{"0.0.0.0"}, want: nameServers{addrs: []string{dnsAddr}, forward4: true}},
		{name: "loopback, then outside", host: []string{"127.0.0.1", "::1", "192.0.2.53"}, want: nameServers{addrs: []string{dnsAddr, "192.0.2.53"}, forward4: true}},
		{name: "outside, then loopback", host: []string{"192.0.2.53", "127.0.0.1"}, want: nameServers{addrs: []string{"192.0.2.53"}}},
		{name: "both loopbacks", host: []string{"::1", "127.0.0.1"}, ipv6: true, want: nameServers{addrs: []string{dns6Addr, dnsAddr}, forward4: true, forward6: true}},
		{name: "IPv6 out of reach", host: []string{"2001:db8::53", "fe80::1%eth0", "nonsense"}, want: nameServers{addrs: []string{dnsAddr}, forward4: true}},
		{name: "IPv6", host: []string{"2001:db8::53", "fe80::1%eth0", "fe80::1"}, ipv6: true, want: nameServers{addrs: []string{"2001:db8::53"}}},
		{name: "the user's", asked: []string{"9.9.9.9", "127.0.0.1"}, host: []string{"127.0.0.53"}, want: nameServers{addrs: []string{"9.9.9.9", "127.0.0.1"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := chooseServers(tt.asked, tt.host, tt.ipv6); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("chooseServers(%q, %q) = %+v, want %+v", tt.asked, tt.host, got, tt.want)
			}
		})
	}
}

func TestResolvConf(t *testing.T) {
	tests := []struct {
		name, host      string
		search, options []string
		want            string
	}{
		{name: "empty host", want: "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"},
		{
			name: "as the host", host: "# made by hand\nsearch a.example b.example # two\nnameserver 192.0.2.53\noptions edns0 trust-ad\n",
			want: "search a.example b.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0 trust-ad\n",
		},
		{
			name: "no search on the host", host: "options edns0 trust-ad\nsearch .\n",
			want: "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0 trust-ad\n",
		},
		{
			name: "the user's", host: "search a\noptions edns0\n", search: []string{"x", "y"}, options: []string{"ndots:2"},
			want: "search x y\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\n",
		},
		{name: "no search", host: "search a\n", search: []string{"."}, want: "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"},
		{
			name: "domain", host: "domain a\nsortlist 130.155.160.0\n;x\noptions rotate\noptions timeout:1",
			want: "search a\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions rotate timeout:1\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := string(resolvConf([]string{"192.0.2.1", "192.0.2.2"}, parseResolvConf([]byte(tt.host)), tt.search, tt.options))
			if got != tt.want {
				t.Errorf("resolvConf = %q\nwant %q", got, tt.want)
			}
		})
	}
	host := parseResolvConf([]byte("nameserver 192.0.2.53 # first\n nameserver 2001:db8::53\nnameserver\n"))
	if want := []string{"192.0.2.53", "2001:db8::53"}; !slices.Equal(host.servers, want) {
		t.Errorf("servers = %q, want %q", host.servers, want)
	}
}
