package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// resolvConfig is what an /etc/resolv.conf is made of.
type resolvConfig struct {
	host      []byte // the host's file
	forwarder string // address in the guest whose queries the back end leads to the host's first server
	ipv6      bool   // the guest has IPv6

	// What the user asked; empty takes the host's. A search of "." is none.
	servers, search, options []string
}

// resolvConf writes an /etc/resolv.conf. The host's servers are used as they are
// where the guest reaches them; those on the host's loopback, as systemd-resolved,
// through the forwarder. Forwarders answer by UDP alone, hence no more of them than
// needed.
func resolvConf(c resolvConfig) []byte {
	host := parseResolvConf(c.host)
	servers := c.servers
	if len(servers) == 0 {
		for _, s := range host.servers {
			addr, err := netip.ParseAddr(s)
			switch {
			case err != nil:
				continue
			case addr.IsLoopback() || addr.IsUnspecified():
				s = c.forwarder
			case addr.Zone() != "" || addr.IsLinkLocalUnicast() || addr.Is6() && !c.ipv6:
				continue // out of the guest's reach
			}
			if !slices.Contains(servers, s) {
				servers = append(servers, s)
			}
		}
	}
	if len(servers) == 0 {
		servers = []string{c.forwarder}
	}
	search, options := c.search, c.options
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
