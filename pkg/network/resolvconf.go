package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// nameServers are the servers of a guest, and the forwarders it needs from the
// back end of its NIC.
type nameServers struct {
	addrs              []string
	forward4, forward6 bool // dnsAddr, dns6Addr
}

// chooseServers returns asked when that is not empty, else the host's servers as
// the guest reaches them: directly where it can; those on the host's loopback, as
// systemd-resolved, through a forwarder. A forwarder leads to the first server of
// its kind only, and answers by UDP alone, hence there is none without need.
func chooseServers(asked, host []string, ipv6 bool) nameServers {
	if len(asked) > 0 {
		return nameServers{addrs: asked}
	}
	var n nameServers
	var seen4, seen6 bool
	for _, s := range host {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			continue
		}
		here := addr.IsLoopback() || addr.IsUnspecified()
		switch {
		case addr.Is4() && here && !seen4:
			s, n.forward4 = dnsAddr, true
		case addr.Is6() && here && !seen6 && ipv6:
			s, n.forward6 = dns6Addr, true
		case here, addr.Zone() != "", addr.IsLinkLocalUnicast(), addr.Is6() && !ipv6:
			s = "" // out of the guest's reach
		}
		seen4, seen6 = seen4 || addr.Is4(), seen6 || addr.Is6()
		if s != "" && !slices.Contains(n.addrs, s) {
			n.addrs = append(n.addrs, s)
		}
	}
	if len(n.addrs) == 0 {
		return nameServers{addrs: []string{dnsAddr}, forward4: true}
	}
	return n
}

// resolvConf writes an /etc/resolv.conf. Search and options that were not asked
// are the host's; a search of "." is none.
func resolvConf(servers []string, host resolver, search, options []string) []byte {
	if len(search) == 0 {
		search = host.search
	}
	if len(options) == 0 {
		options = host.options
	}
	var out bytes.Buffer
	if len(search) > 0 && !slices.Equal(search, []string{"."}) {
		fmt.Fprintf(&out, "search %s\n", strings.Join(search, " "))
	}
	for _, s := range servers {
		fmt.Fprintf(&out, "nameserver %s\n", s)
	}
	if len(options) > 0 {
		fmt.Fprintf(&out, "options %s\n", strings.Join(options, " "))
	}
	return out.Bytes()
}

// resolver is a parsed resolv.conf.
type resolver struct {
	servers, search, options []string
}

// parseResolvConf reads a resolv.conf as glibc does: of several search or domain
// lines the last one holds; other lines are skipped.
func parseResolvConf(b []byte) resolver {
	var r resolver
	for line := range strings.Lines(string(b)) {
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.servers = append(r.servers, fields[1])
		case "search":
			r.search = fields[1:]
		case "domain":
			r.search = fields[1:2]
		case "options":
			r.options = append(r.options, fields[1:]...)
		}
	}
	return r
}
