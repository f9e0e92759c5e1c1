package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vpod/pkg/container"
)

// PortError reports a port that cannot be published; it wraps the system's error.
type PortError struct {
	Mapping container.PortMapping // one port
	Err     error
}

func (e *PortError) Error() string {
	m := e.Mapping
	hint := ""
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		show := "ss -ltnp"
		if m.Protocol == "udp" {
			show = "ss -lunp"
		}
		hint = fmt.Sprintf(": choose another host port, or stop what uses it (%s 'sport = :%d' shows it)", show, m.HostPort)
	case errors.Is(e.Err, syscall.EACCES):
		hint = fmt.Sprintf(": low ports are root's; choose one from 1024 up, or let root run sysctl net.ipv4.ip_unprivileged_port_start=%d", m.HostPort)
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		hint = ": this host has no such address"
	}
	return fmt.Sprintf("cannot publish %s:%d/%s: %v%s", hostText(m), m.HostPort, m.Protocol, e.Err, hint)
}

func (e *PortError) Unwrap() error { return e.Err }

// hostText is the host's side of a mapping.
func hostText(m container.PortMapping) string {
	switch {
	case m.HostIP == "":
		return "0.0.0.0"
	case strings.Contains(m.HostIP, ":"):
		return "[" + m.HostIP + "]"
	}
	return m.HostIP
}

// expandPorts turns ranges into single ports and drops repetitions. Two different
// container ports behind one port of the host are refused.
func expandPorts(ports []container.PortMapping) ([]container.PortMapping, error) {
	type key struct {
		ip, protocol string
		port         uint16
	}
	var out []container.PortMapping
	seen := map[key]uint16{}
	for _, m := range ports {
		n := max(int(m.Range), 1)
		if m.ContainerPort == 0 || int(m.ContainerPort)+n-1 > 65535 || int(m.HostPort)+n-1 > 65535 {
			return nil, fmt.Errorf("port mapping %s reaches beyond port 65535", m)
		}
		for i := range uint16(n) {
			one := m
			one.Range = 1
			one.ContainerPort += i
			if m.HostPort != 0 {
				one.HostPort += i
				k := key{m.HostIP, m.Protocol, one.HostPort}
				if other, ok := seen[k]; ok {
					if other != one.ContainerPort {
						return nil, fmt.Errorf("conflicting port mappings for host port %d (protocol %s): it cannot lead to %d and to %d",
							one.HostPort, m.Protocol, other, one.ContainerPort)
					}
					continue
				}
				seen[k] = one.ContainerPort
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// checkUserPorts refuses what QEMU's built-in NAT cannot do.
func checkUserPorts(ports []container.PortMapping) error {
	for _, m := range ports {
		if strings.Contains(m.HostIP, ":") {
			return fmt.Errorf("cannot publish %s:%d/%s: QEMU's built-in network has no IPv6: install passt", hostText(m), m.HostPort, m.Protocol)
		}
	}
	return nil
}

// checkPasstPorts refuses what passt cannot do.
func checkPasstPorts(ports []container.PortMapping, ipv6 bool) error {
	type key struct {
		protocol string
		port     uint16
	}
	seen := map[key]container.PortMapping{}
	for _, m := range ports {
		if strings.Contains(m.HostIP, ":") && !ipv6 {
			return fmt.Errorf("cannot publish %s:%d/%s: containers have no IPv6 here, for this host has no IPv6 default route", hostText(m), m.HostPort, m.Protocol)
		}
		k := key{m.Protocol, m.HostPort}
		if other, ok := seen[k]; ok {
			return fmt.Errorf("cannot publish host port %d/%s on both %s and %s: passt takes one address for a port, or all; give it without an address, or use another port",
				m.HostPort, m.Protocol, hostText(other), hostText(m))
		}
		seen[k] = m
	}
	return nil
}

// ChoosePorts gives every mapping without a host port a free one, by itself when
// it is a range. Others stay as they are. The choice is not reserved.
func ChoosePorts(ports []container.PortMapping) ([]container.PortMapping, error) {
	var out []container.PortMapping
	var held sockets
	defer held.close() // together at the end: no port is chosen twice
	for _, m := range ports {
		if m.HostPort != 0 {
			out = append(out, m)
			continue
		}
		singles, err := expandPorts([]container.PortMapping{m})
		if err != nil {
			return nil, err
		}
		for _, one := range singles {
			if one.HostPort, err = held.bind(one, false); err != nil {
				return nil, &PortError{Mapping: one, Err: err}
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// CheckPorts tries to bind every port of a plan, so that one in use is reported by
// name before a machine starts. A *PortError says which. It must run with the
// rights the machine will have; ipv6 is whether an empty address means IPv6 too.
func CheckPorts(ports []container.PortMapping, ipv6 bool) error {
	var held sockets
	defer held.close()
	for _, m := range ports {
		if _, err := held.bind(m, ipv6); err != nil {
			return &PortError{Mapping: m, Err: err}
		}
	}
	return nil
}

// sockets are bound, and never listen.
type sockets []int

// bind binds the host's side of one mapping and returns the port.
func (s *sockets) bind(m container.PortMapping, ipv6 bool) (uint16, error) {
	addr := netip.IPv4Unspecified()
	if m.HostIP != "" {
		var err error
		if addr, err = netip.ParseAddr(m.HostIP); err != nil {
			return 0, fmt.Errorf("address %s: %w", strconv.Quote(m.HostIP), unix.EINVAL)
		}
	} else if ipv6 {
		addr = netip.IPv6Unspecified()
	}
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	if addr.Is6() {
		family = unix.AF_INET6
	}
	if m.Protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	*s = append(*s, fd)
	if kind == unix.SOCK_STREAM {
		// Connections that have ended do not keep the port.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return 0, err
		}
	}
	if family == unix.AF_INET6 {
		only := 1
		if addr.IsUnspecified() {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return 0, err
		}
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(m.HostPort), Addr: addrBytes4(addr)}
	if addr.Is6() {
		sa = &unix.SockaddrInet6{Port: int(m.HostPort), Addr: addr.As16()}
	}
	if err := unix.Bind(fd, sa); err != nil {
		return 0, err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	switch b := bound.(type) {
	case *unix.SockaddrInet4:
		return uint16(b.Port), nil
	case *unix.SockaddrInet6:
		return uint16(b.Port), nil
	}
	return 0, unix.EAFNOSUPPORT
}

// addrBytes4 is As4 for an address that may be IPv6.
func addrBytes4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

// close lets all ports go.
func (s *sockets) close() {
	for _, fd := range *s {
		_ = unix.Close(fd) // nothing was written
	}
}
