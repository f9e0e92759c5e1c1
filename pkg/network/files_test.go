package network

import (
	"net/netip"
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

func TestResolvConf(t *testing.T) {
	tests := []struct {
		name   string
		config resolvConfig
		want   string
	}{
		{name: "empty host", want: "nameserver 10.0.2.3\n"},
		{
			name:   "as the host",
			config: resolvConfig{host: []byte("# made by hand\nsearch a.example b.example\nnameserver 192.0.2.53 # first\nnameserver 192.0.2.54\noptions edns0 trust-ad\n")},
			want:   "search a.example b.example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\noptions edns0 trust-ad\n",
		},
		{
			name:   "systemd-resolved",
			config: resolvConfig{host: []byte("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n")},
			want:   "nameserver 10.0.2.3\noptions edns0 trust-ad\n",
		},
		{
			name:   "two on the loopback and one outside",
			config: resolvConfig{host: []byte("nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.53\n")},
			want:   "nameserver 10.0.2.3\nnameserver 192.0.2.53\n",
		},
		{
			name:   "IPv6 out of reach",
			config: resolvConfig{host: []byte("nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver nonsense\n")},
			want:   "nameserver 10.0.2.3\n",
		},
		{
			name:   "IPv6",
			config: resolvConfig{ipv6: true, host: []byte("nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver fe80::1\n")},
			want:   "nameserver 2001:db8::53\n",
		},
		{
			name:   "all the user's",
			config: resolvConfig{host: []byte("search a\nnameserver 192.0.2.53\noptions edns0\n"), servers: []string{"9.9.9.9", "::1"}, search: []string{"x", "y"}, options: []string{"ndots:2"}},
			want:   "search x y\nnameserver 9.9.9.9\nnameserver ::1\noptions ndots:2\n",
		},
		{
			name:   "no search",
			config: resolvConfig{host: []byte("search a\nnameserver 192.0.2.53\n"), search: []string{"."}},
			want:   "nameserver 192.0.2.53\n",
		},
		{
			name:   "domain",
			config: resolvConfig{host: []byte("domain a\nnameserver 192.0.2.53\nsortlist 130.155.160.0\n;x\noptions rotate\noptions timeout:1\n")},
			want:   "search a\nnameserver 192.0.2.53\noptions rotate timeout:1\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.forwarder = dnsAddr
			if got := string(resolvConf(tt.config)); got != tt.want {
				t.Errorf("resolvConf = %q\nwant %q", got, tt.want)
			}
		})
	}
}
