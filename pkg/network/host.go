package network

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"vpod/pkg/sidecar"
)

// Host is what a plan depends on besides the container.
type Host struct {
	Passt      string     // path; "" uses QEMU's built-in NAT
	Interface6 string     // of the IPv6 default route; "" when there is none
	Address    netip.Addr // the host's own, by which containers reach it; not valid when it has none but loopback
	Hosts      []byte     // base of /etc/hosts
	ResolvConf []byte
}

// IPv6 reports whether the host can carry a guest's IPv6.
func (h Host) IPv6() bool { return h.Interface6 != "" }

// HostOptions say where ReadHost looks.
type HostOptions struct {
	Path       string // $PATH
	HostsFile  string // base of /etc/hosts: "" is the host's own, "none" is empty (base_hosts_file in containers.conf)
	ResolvConf string // file with the name servers; "" is the host's own
}

// ReadHost finds out what a plan needs to know of the host. It sends nothing.
func ReadHost(o HostOptions) (Host, error) {
	var h Host
	var missing *sidecar.NotFoundError
	passt, err := sidecar.FindPasst(o.Path)
	if err != nil && !errors.As(err, &missing) {
		return Host{}, err
	}
	h.Passt = passt

	routes, err := readOptional("/proc/net/ipv6_route") // absent without IPv6
	if err != nil {
		return Host{}, fmt.Errorf("read routes: %w", err)
	}
	h.Interface6 = defaultInterface6(routes)
	h.Address = ownAddress()

	switch o.HostsFile {
	case "none", "image": // the image's own file is not within reach before the machine runs
	case "":
		h.Hosts, err = readOptional("/etc/hosts")
	default:
		h.Hosts, err = os.ReadFile(o.HostsFile)
	}
	if err != nil {
		return Host{}, fmt.Errorf("read base hosts file: %w", err)
	}
	servers := o.ResolvConf
	if servers == "" {
		servers = "/etc/resolv.conf"
	}
	if h.ResolvConf, err = readOptional(servers); err != nil {
		return Host{}, fmt.Errorf("read the name servers: %w", err)
	}
	return h, nil
}

// readOptional reads a file that may be absent.
func readOptional(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// defaultInterface6 returns the interface of the default route in
// /proc/net/ipv6_route; "" when there is none. A line is: destination, its prefix
// length, source, its prefix length, next hop, metric, two counters, flags,
// interface; numbers are hexadecimal.
func defaultInterface6(routes []byte) string {
	const up, reject = 0x1, 0x200 // RTF_UP, RTF_REJECT of linux/route.h
	best, name := uint64(1<<63), ""
	for line := range bytes.Lines(routes) {
		fields := strings.Fields(string(line))
		if len(fields) != 10 || strings.Trim(fields[0], "0") != "" || fields[1] != "00" || fields[9] == "lo" {
			continue
		}
		metric, err1 := strconv.ParseUint(fields[5], 16, 32)
		flags, err2 := strconv.ParseUint(fields[8], 16, 32)
		if err1 == nil && err2 == nil && flags&(up|reject) == up && metric < best {
			best, name = metric, fields[9]
		}
	}
	return name
}

// ownAddress returns the address the host uses towards others: the source of its
// default route, or else any that is not loopback.
func ownAddress() netip.Addr {
	// Connecting a datagram socket sends nothing; the address is one of those
	// reserved for documentation.
	if conn, err := net.Dial("udp4", "198.51.100.1:9"); err == nil {
		defer conn.Close()
		if local, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			return local.AddrPort().Addr().Unmap()
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	var found netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLoopback() || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		if prefix.Addr().Is4() {
			return prefix.Addr()
		}
		if !found.IsValid() {
			found = prefix.Addr()
		}
	}
	return found
}
