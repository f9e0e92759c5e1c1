package container

import (
	"strings"
	"testing"
)

func TestParsePortMapping(t *testing.T) {
	tcp := func(ip string, host, ctr, n uint16) PortMapping {
		return PortMapping{HostIP: ip, HostPort: host, ContainerPort: ctr, Range: n, Protocol: "tcp"}
	}
	udp := func(ip string, host, ctr, n uint16) PortMapping {
		m := tcp(ip, host, ctr, n)
		m.Protocol = "udp"
		return m
	}
	tests := []struct {
		in    string
		want  PortMapping
		print string // as `ps` shows it
	}{
		{"80", tcp("", 0, 80, 1), "0.0.0.0:0->80/tcp"},
		{"80/udp", udp("", 0, 80, 1), "0.0.0.0:0->80/udp"},
		{"80/TCP", tcp("", 0, 80, 1), "0.0.0.0:0->80/tcp"},
		{"8080:80", tcp("", 8080, 80, 1), "0.0.0.0:8080->80/tcp"},
		{":80", tcp("", 0, 80, 1), "0.0.0.0:0->80/tcp"},
		{"127.0.0.1:8080:80", tcp("127.0.0.1", 8080, 80, 1), "127.0.0.1:8080->80/tcp"},
		{"127.0.0.1::80", tcp("127.0.0.1", 0, 80, 1), "127.0.0.1:0->80/tcp"},
		{"[::1]:8080:80/udp", udp("::1", 8080, 80, 1), "[::1]:8080->80/udp"},
		{"[::1]::80", tcp("::1", 0, 80, 1), "[::1]:0->80/tcp"},
		{"[2001:DB8:0::1]:8080:80", tcp("2001:db8::1", 8080, 80, 1), "[2001:db8::1]:8080->80/tcp"},
		{"80-90", tcp("", 0, 80, 11), "0.0.0.0:0-10->80-90/tcp"},
		{"8000-8010:80-90", tcp("", 8000, 80, 11), "0.0.0.0:8000-8010->80-90/tcp"},
		{"80-80:90-90", tcp("", 80, 90, 1), "0.0.0.0:80->90/tcp"},
		{"1-65535:1-65535", tcp("", 1, 1, 65535), "0.0.0.0:1-65535->1-65535/tcp"},
		{"65535:65535", tcp("", 65535, 65535, 1), "0.0.0.0:65535->65535/tcp"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParsePortMapping(tt.in)
			if err != nil || got != tt.want {
				t.Fatalf("ParsePortMapping(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
			}
			if s := got.String(); s != tt.print {
				t.Errorf("String of %q = %q, want %q", tt.in, s, tt.print)
			}
		})
	}
}

func TestParsePortMappingErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", `container port "" is not a number`},
		{"0", `"0" is not a number from 1 to 65535`},
		{"65536", `"65536" is not a number`},
		{"-1", `"" is not a number`},
		{"+80", `"+80" is not a number`},
		{"http", `"http" is not a number`},
		{"80:", `container port "" is not a number`},
		{"8080:0", `container port "0" is not a number`},
		{"0:80", `host port "0" is not a number`},
		{"x:80", `host port "x" is not a number`},
		{"90-80", `"90-80" is not an ascending range`},
		{"80-", `"80-" is not an ascending range`},
		{"80-90-100", `is not an ascending range`},
		{"8000-8010:80", "11 host ports cannot lead to 1 container ports"},
		{"8000:80-90", "1 host ports cannot lead to 11 container ports"},
		{"80/sctp", `protocol "sctp" is neither tcp nor udp`},
		{"80/", `protocol "" is neither tcp nor udp`},
		{"80/tcp/udp", `protocol "tcp/udp"`},
		{"localhost:8080:80", `"localhost" is not an IP address`},
		{"1.2.3:8080:80", `"1.2.3" is not an IP address`},
		{"::1:8080:80", "brackets"},
		{"[::1:8080:80", "brackets"},
		{"::1]:8080:80", "brackets"},
		{"[127.0.0.1]:8080:80", "brackets"},
		{"[]:8080:80", `"" is not an IP address`},
		{"fe80::1%eth0:8080:80", "brackets"},
		{"[fe80::1%eth0]:8080:80", "zone"},
		{"[::ffff:127.0.0.1]:8080:80", "IPv4"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := ParsePortMapping(tt.in)
			if err == nil {
				t.Fatalf("ParsePortMapping(%q) = %+v", tt.in, got)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "[[ip:][hostPort]:]containerPort[/tcp|/udp]") {
				t.Errorf("ParsePortMapping(%q) = %q, lacks %q", tt.in, err, tt.want)
			}
		})
	}
}

// FuzzParsePortMapping reads its own output again.
func FuzzParsePortMapping(f *testing.F) {
	for _, s := range []string{"80", "8080:80/udp", "[::1]:1-2:3-4", "127.0.0.1::80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParsePortMapping(s)
		if err != nil {
			return
		}
		if m.ContainerPort == 0 || m.Range == 0 || int(m.ContainerPort)+int(m.Range)-1 > 65535 || int(m.HostPort)+int(m.Range)-1 > 65535 {
			t.Errorf("ParsePortMapping(%q) = %+v", s, m)
		}
		if m.HostPort == 0 {
			return // not printed in a form that can be read
		}
		host, ctr, _ := strings.Cut(m.String(), "->")
		if again, err := ParsePortMapping(host + ":" + ctr); err != nil || again.String() != m.String() {
			t.Errorf("ParsePortMapping(%q) = %+v, %v; want %+v", host+":"+ctr, again, err, m)
		}
	})
}
