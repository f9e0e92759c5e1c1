package network

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vpod/pkg/container"
)

func TestExpandPorts(t *testing.T) {
	tests := []struct {
		name string
		in   []string
		want []string
		err  string
	}{
		{name: "none"},
		{name: "single", in: []string{"8080:80"}, want: []string{"0.0.0.0:8080->80/tcp"}},
		{name: "range", in: []string{"127.0.0.1:9000-9002:90-92/udp"}, want: []string{"127.0.0.1:9000->90/udp", "127.0.0.1:9001->91/udp", "127.0.0.1:9002->92/udp"}},
		{name: "no host port", in: []string{"80-81"}, want: []string{"0.0.0.0:0->80/tcp", "0.0.0.0:0->81/tcp"}},
		{name: "repeated", in: []string{"8080:80", "8080:80", "8079-8081:79-81"}, want: []string{"0.0.0.0:8080->80/tcp", "0.0.0.0:8079->79/tcp", "0.0.0.0:8081->81/tcp"}},
		{name: "same number, other protocol", in: []string{"53:53", "53:53/udp"}, want: []string{"0.0.0.0:53->53/tcp", "0.0.0.0:53->53/udp"}},
		{name: "two to one", in: []string{"8080:80", "8081:80"}, want: []string{"0.0.0.0:8080->80/tcp", "0.0.0.0:8081->80/tcp"}},
		{name: "conflict in a range", in: []string{"8080:80", "8079-8081:80-82"}, err: "host port 8080"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := expandPorts(mappings(t, tt.in...))
			var texts []string
			for _, m := range got {
				texts = append(texts, m.String())
			}
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("expandPorts(%q) = %v, want error %q", tt.in, err, tt.err)
			}
			if !slices.Equal(texts, tt.want) {
				t.Errorf("expandPorts(%q) = %q, want %q", tt.in, texts, tt.want)
			}
		})
	}
	for _, m := range []container.PortMapping{
		{ContainerPort: 0, Range: 1, Protocol: "tcp"},
		{ContainerPort: 65535, Range: 2, Protocol: "tcp"},
		{HostPort: 65535, ContainerPort: 1, Range: 2, Protocol: "tcp"},
	} {
		if got, err := expandPorts([]container.PortMapping{m}); err == nil {
			t.Errorf("expandPorts(%+v) = %v", m, got)
		}
	}
}

func TestChoosePorts(t *testing.T) {
	in := mappings(t, "8080:80", "81", "127.0.0.1::90-92/udp", "82")
	got, err := ChoosePorts(in)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 6 || got[0] != in[0] {
		t.Fatalf("ChoosePorts = %+v", got)
	}
	seen := map[string]bool{}
	for _, m := range got[1:] {
		key := fmt.Sprint(m.Protocol, m.HostPort)
		if m.HostPort == 0 || m.Range != 1 || seen[key] {
			t.Errorf("chosen: %+v", m)
		}
		seen[key] = true
	}
	if got[2].HostIP != "127.0.0.1" || got[2].ContainerPort != 90 || got[4].ContainerPort != 92 {
		t.Errorf("range = %+v", got[2:5])
	}
	if err := CheckPorts(got[1:], false); err != nil {
		t.Errorf("chosen ports are not free: %v", err)
	}
}

func TestCheckPorts(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcpPort, udpPort := uint16(tcp.Addr().(*net.TCPAddr).Port), uint16(udp.LocalAddr().(*net.UDPAddr).Port)
	tests := []struct {
		name    string
		mapping container.PortMapping
		errno   error
		text    string
	}{
		{name: "in use", mapping: container.PortMapping{HostIP: "127.0.0.1", HostPort: tcpPort, Protocol: "tcp"}, errno: syscall.EADDRINUSE,
			text: fmt.Sprintf("cannot publish 127.0.0.1:%d/tcp: address already in use: choose another host port, or stop what uses it (ss -ltnp 'sport = :%d' shows it)", tcpPort, tcpPort)},
		{name: "in use on all addresses", mapping: container.PortMapping{HostPort: tcpPort, Protocol: "tcp"}, errno: syscall.EADDRINUSE, text: fmt.Sprintf("cannot publish 0.0.0.0:%d/tcp", tcpPort)},
		{name: "udp in use", mapping: container.PortMapping{HostIP: "127.0.0.1", HostPort: udpPort, Protocol: "udp"}, errno: syscall.EADDRINUSE, text: "ss -lunp"},
		{name: "other protocol", mapping: container.PortMapping{HostIP: "127.0.0.2", HostPort: udpPort, Protocol: "tcp"}},
		{name: "no such address", mapping: container.PortMapping{HostIP: "203.0.113.77", HostPort: tcpPort, Protocol: "tcp"}, errno: syscall.EADDRNOTAVAIL, text: "this host has no such address"},
		{name: "not an address", mapping: container.PortMapping{HostIP: "here", HostPort: tcpPort, Protocol: "tcp"}, errno: syscall.EINVAL, text: `"here"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := CheckPorts([]container.PortMapping{tt.mapping}, false)
			if tt.errno == nil {
				if err != nil {
					t.Errorf("CheckPorts = %v", err)
				}
				return
			}
			var pe *PortError
			if !errors.As(err, &pe) || !errors.Is(err, tt.errno) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("CheckPorts = %v, want %v with %q", err, tt.errno, tt.text)
			}
		})
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		if err := CheckPorts([]container.PortMapping{{HostPort: tcpPort, Protocol: "tcp"}}, true); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("on all addresses of both kinds: %v", err)
		}
	}
}

func TestPortErrorOfLowPort(t *testing.T) {
	err := &PortError{Mapping: container.PortMapping{HostPort: 80, Protocol: "tcp"}, Err: syscall.EACCES}
	want := "cannot publish 0.0.0.0:80/tcp: permission denied: low ports are root's; choose one from 1024 up, or let root run sysctl net.ipv4.ip_unprivileged_port_start=80"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
