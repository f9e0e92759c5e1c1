package network

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// hostGateway in an --add-host stands for the host's own address.
const hostGateway = "host-gateway"

// hostsConfig is what an /etc/hosts is made of.
type hostsConfig struct {
	base  []byte     // entries to take over; comments are dropped
	extra []string   // --add-host
	host  netip.Addr // the host as the container reaches it; may be not valid
	own   netip.Addr // the container
	names []string   // and its names
}

// hostsEntry is a line.
type hostsEntry struct {
	addr  string
	names []string
}

// hostsFile writes an /etc/hosts as Podman does (containers/common,
// libnetwork/etchosts): what the user added, the base, then those of localhost,
// the host and the container whose names are not there yet.
func hostsFile(c hostsConfig) ([]byte, error) {
	var out bytes.Buffer
	taken := map[string]bool{}
	write := func(e hostsEntry) {
		fmt.Fprintf(&out, "%s\t%s\n", e.addr, strings.Join(e.names, " "))
	}
	for _, text := range c.extra {
		e, err := parseAddHost(text)
		if err != nil {
			return nil, err
		}
		if e.addr == hostGateway {
			if !c.host.IsValid() {
				return nil, fmt.Errorf("add host %q: this host has no address a container could reach: give an address in place of %s", text, hostGateway)
			}
			e.addr = c.host.String()
		}
		write(e)
		for _, name := range e.names {
			taken[name] = true
		}
	}
	for line := range strings.Lines(string(c.base)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		write(hostsEntry{addr: fields[0], names: fields[1:]})
		for _, name := range fields[1:] {
			taken[name] = true
		}
	}

	own := []hostsEntry{{"127.0.0.1", []string{"localhost"}}, {"::1", []string{"localhost"}}}
	if c.host.IsValid() {
		own = append(own, hostsEntry{c.host.String(), []string{"host.containers.internal", "host.docker.internal"}})
	}
	own = append(own, hostsEntry{c.own.String(), c.names})
	for _, e := range own {
		var free []string
		for _, name := range e.names {
			if !taken[name] {
				free = append(free, name)
			}
		}
		if len(free) > 0 {
			write(hostsEntry{e.addr, free})
		}
	}
	return out.Bytes(), nil
}

// parseAddHost reads "name[;name…]:address"; the address may be hostGateway, or
// IPv6, in brackets or not.
func parseAddHost(s string) (hostsEntry, error) {
	names, addr, ok := strings.Cut(s, ":")
	if !ok || names == "" || addr == "" {
		return hostsEntry{}, fmt.Errorf("bad format for add-host: %q: the form is name:address", s)
	}
	e := hostsEntry{addr: addr, names: strings.Split(names, ";")}
	for _, name := range e.names {
		if name == "" || strings.ContainsAny(name, " \t\r\n#") {
			return hostsEntry{}, fmt.Errorf("bad name in add-host: %q", s)
		}
	}
	if addr == hostGateway {
		return e, nil
	}
	if len(addr) > 2 && addr[0] == '[' && addr[len(addr)-1] == ']' {
		addr = addr[1 : len(addr)-1]
	}
	parsed, err := netip.ParseAddr(addr)
	if err != nil {
		return hostsEntry{}, fmt.Errorf("invalid IP address in add-host: %q", e.addr)
	}
	e.addr = parsed.String()
	return e, nil
}
