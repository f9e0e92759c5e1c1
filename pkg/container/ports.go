package container

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// PortMapping is the parsed form of one --publish: a range of host ports that
// leads to a range of container ports of equal length.
type PortMapping struct {
	HostIP        string `json:"host_ip"`        // "" is every address
	HostPort      uint16 `json:"host_port"`      // 0 asks for any free one
	ContainerPort uint16 `json:"container_port"` // 1…65535
	Range         uint16 `json:"range"`          // number of ports, 1 or more
	Protocol      string `json:"protocol"`       // "tcp" or "udp"
}

// ParsePortMapping reads [[ip:][hostPort]:]containerPort[/protocol]; ports may
// be ranges, as 8000-8010:80-90. An IPv6 address stands in brackets.
func ParsePortMapping(s string) (PortMapping, error) {
	bad := func(why string) (PortMapping, error) {
		return PortMapping{}, fmt.Errorf("invalid port mapping %q: %s; the form is [[ip:][hostPort]:]containerPort[/tcp|/udp]", s, why)
	}
	m := PortMapping{Protocol: "tcp", Range: 1}
	rest, proto, hasProto := strings.Cut(s, "/")
	if hasProto {
		m.Protocol = strings.ToLower(proto)
	}
	if m.Protocol != "tcp" && m.Protocol != "udp" {
		return bad(fmt.Sprintf("protocol %q is neither tcp nor udp", proto))
	}
	var host string
	ctr := rest
	if i := strings.LastIndex(rest, ":"); i >= 0 {
		host, ctr = rest[:i], rest[i+1:]
		if i := strings.LastIndex(host, ":"); i >= 0 {
			ip := host[:i]
			host = host[i+1:]
			if ip != "" {
				addr, err := parseHostIP(ip)
				if err != nil {
					return bad(err.Error())
				}
				m.HostIP = addr.String()
			}
		}
	}
	first, n, err := portRange(ctr)
	if err != nil {
		return bad("container port " + err.Error())
	}
	m.ContainerPort, m.Range = first, n
	if host != "" {
		first, hn, err := portRange(host)
		if err != nil {
			return bad("host port " + err.Error())
		}
		if hn != n {
			return bad(fmt.Sprintf("%d host ports cannot lead to %d container ports", hn, n))
		}
		m.HostPort = first
	}
	return m, nil
}

// parseHostIP reads an IPv4 address, or an IPv6 address in brackets: without them
// nobody can tell where it ends and the port begins.
func parseHostIP(s string) (netip.Addr, error) {
	inner, bracketed := s, len(s) >= 2 && s[0] == '[' && s[len(s)-1] == ']'
	if bracketed {
		inner = s[1 : len(s)-1]
	}
	addr, err := netip.ParseAddr(inner)
	switch {
	case strings.Contains(s, ":") && !bracketed:
		return netip.Addr{}, fmt.Errorf("%q must stand in brackets if it is an IPv6 address", s)
	case err != nil:
		return netip.Addr{}, fmt.Errorf("%q is not an IP address", inner)
	case bracketed && addr.Is4():
		return netip.Addr{}, fmt.Errorf("%q takes no brackets", inner)
	case addr.Zone() != "":
		return netip.Addr{}, fmt.Errorf("%q has a zone, which cannot be published on", inner)
	case addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("%q is an IPv4 address: write it as %s", inner, addr.Unmap())
	}
	return addr, nil
}

// portRange reads "80" or "80-90" and returns the first port and their number.
func portRange(s string) (first, n uint16, err error) {
	lo, hi, ranged := strings.Cut(s, "-")
	a, err := strconv.ParseUint(lo, 10, 16)
	if err != nil || a == 0 {
		return 0, 0, fmt.Errorf("%q is not a number from 1 to 65535", lo)
	}
	if !ranged {
		return uint16(a), 1, nil
	}
	b, err := strconv.ParseUint(hi, 10, 16)
	if err != nil || b < a {
		return 0, 0, fmt.Errorf("%q is not an ascending range", s)
	}
	return uint16(a), uint16(b - a + 1), nil
}

// String prints the mapping as `ps` shows it, "0.0.0.0:8080->80/tcp".
func (m PortMapping) String() string {
	ip := m.HostIP
	if ip == "" {
		ip = "0.0.0.0"
	}
	if strings.Contains(ip, ":") {
		ip = "[" + ip + "]"
	}
	if m.Range <= 1 {
		return fmt.Sprintf("%s:%d->%d/%s", ip, m.HostPort, m.ContainerPort, m.Protocol)
	}
	last := m.Range - 1
	return fmt.Sprintf("%s:%d-%d->%d-%d/%s", ip, m.HostPort, m.HostPort+last, m.ContainerPort, m.ContainerPort+last, m.Protocol)
}
