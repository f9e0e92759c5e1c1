package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"vpod/pkg/container"
)

// networkFlags connect the container with the outside.
type networkFlags struct {
	network   []string
	publish   []string
	addHost   []string
	dns       []string
	dnsOption []string
	dnsSearch []string
	noHosts   bool
	changed   func(flag string) bool
}

// networkModes are the values of --network.
var networkModes = []string{"none", "user", "default"}

func (f *networkFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.StringArrayVar(&f.network, "network", nil, "Connect the container by this `mode`: user (default) or none")
	flags.StringSliceVarP(&f.publish, "publish", "p", nil, "Publish a port: `[[IP:][HOSTPORT]:]PORT[/tcp|/udp]`, ports may be ranges")
	flags.StringSliceVar(&f.addHost, "add-host", nil, "Add a line to /etc/hosts: `NAME:IP`, where IP may be host-gateway")
	flags.StringSliceVar(&f.dns, "dns", nil, "Use this DNS server, an `IP`, or none to keep the image's resolv.conf")
	flags.StringSliceVar(&f.dnsOption, "dns-option", nil, "Add this resolver `option` to resolv.conf")
	flags.StringSliceVar(&f.dnsSearch, "dns-search", nil, "Search names in this `domain`")
	flags.BoolVar(&f.noHosts, "no-hosts", false, "Keep the image's /etc/hosts")
}

func (f *networkFlags) apply(spec *container.Spec, in surroundings) error {
	n := &spec.Network
	n.Mode = container.NetworkUser
	if len(f.network) > 1 {
		return errors.New("--network: a machine has one network interface; name one network")
	}
	for _, mode := range f.network {
		var err error
		if n.Mode, err = parseNetwork(mode); err != nil {
			return fmt.Errorf("--network %s: %w", mode, err)
		}
	}
	if err := f.applyPorts(n); err != nil {
		return err
	}
	if f.noHosts && len(f.addHost) > 0 {
		return errors.New("--no-hosts and --add-host cannot be set together: one leaves /etc/hosts alone, the other changes it")
	}
	for _, h := range f.addHost {
		if err := checkAddHost(h); err != nil {
			return err
		}
	}
	n.AddHosts, n.NoHosts = f.addHost, f.noHosts
	return f.applyDNS(n, in)
}

// parseNetwork reads a value of --network. Podman's other modes are refused one
// by one, with what to do.
func parseNetwork(mode string) (container.NetworkMode, error) {
	kind, _, _ := strings.Cut(mode, ":")
	switch kind {
	case "none":
		return container.NetworkNone, nil
	case "user", "default":
		return container.NetworkUser, nil
	case "host":
		return "", withHint(errors.New("the container's machine has a network stack of its own and cannot share the host's"), "publish its ports with --publish; the host is reachable from it as the gateway")
	case "container", "ns":
		return "", withHint(errors.New("a network namespace of the host cannot be joined from another kernel"), "use --network user, and --publish")
	case "bridge", "private":
		return "", withHint(errors.New("vpod makes no bridges: each machine has user-mode networking of its own"), "leave the option out: the default reaches the outside, and --publish lets the outside in")
	case "pasta", "slirp4netns":
		return "", withHint(errors.New("vpod chooses the helper itself: passt where it is installed, else QEMU's own"), "use --network user, which is the default")
	}
	return "", withHint(errors.New("vpod has no networks with names"), "use --network user, the default, or --network none")
}

func (f *networkFlags) applyPorts(n *container.Network) error {
	for _, p := range f.publish {
		m, err := container.ParsePortMapping(p)
		if err != nil {
			return fmt.Errorf("--publish: %w", err)
		}
		if other := slices.IndexFunc(n.Ports, func(o container.PortMapping) bool { return overlap(o, m) }); other >= 0 {
			return fmt.Errorf("--publish %s: the host's port is already taken by %s", p, n.Ports[other])
		}
		n.Ports = append(n.Ports, m)
	}
	return nil
}

// overlap reports whether two mappings want the same port of the host.
func overlap(a, b container.PortMapping) bool {
	if a.HostPort == 0 || b.HostPort == 0 || a.Protocol != b.Protocol {
		return false
	}
	if a.HostIP != b.HostIP && a.HostIP != "" && b.HostIP != "" {
		return false
	}
	return int(a.HostPort) < int(b.HostPort)+int(b.Range) && int(b.HostPort) < int(a.HostPort)+int(a.Range)
}

// checkAddHost checks NAME:IP. The address may have colons of its own.
func checkAddHost(s string) error {
	name, ip, ok := strings.Cut(s, ":")
	if !ok || name == "" {
		return fmt.Errorf("--add-host %q: the form is NAME:IP", s)
	}
	if strings.ContainsAny(name, " \t\n#") {
		return fmt.Errorf("--add-host %q: %q is not a host name", s, name)
	}
	if ip == "host-gateway" {
		return nil
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return fmt.Errorf("--add-host %q: %q is not an IP address; give one, or host-gateway", s, ip)
	}
	return nil
}

// applyDNS fills in the servers of containers.conf when the user names none.
func (f *networkFlags) applyDNS(n *container.Network, in surroundings) error {
	for _, s := range f.dns {
		if s == "none" {
			if len(f.dns) > 1 || len(f.dnsOption) > 0 || len(f.dnsSearch) > 0 {
				return errors.New("--dns none leaves resolv.conf to the image and cannot be combined with other DNS options")
			}
			continue
		}
		if _, err := netip.ParseAddr(s); err != nil {
			return fmt.Errorf("--dns %q: not an IP address", s)
		}
	}
	for _, w := range slices.Concat(f.dnsOption, f.dnsSearch) {
		if w == "" || strings.ContainsAny(w, " \t\n") {
			return fmt.Errorf("--dns-option or --dns-search %q: give one word", w)
		}
	}
	if n.Mode == container.NetworkNone && f.changed("dns") && f.dns[0] != "none" {
		return errors.New("--dns is of no use with --network none: there is nobody to ask")
	}
	n.DNS, n.DNSOptions, n.DNSSearch = f.dns, f.dnsOption, f.dnsSearch
	if len(n.DNS) == 0 {
		n.DNS = in.config.DNSServers
	}
	if len(n.DNSOptions) == 0 && !slices.Contains(f.dns, "none") {
		n.DNSOptions = in.config.DNSOptions
	}
	if len(n.DNSSearch) == 0 && !slices.Contains(f.dns, "none") {
		n.DNSSearch = in.config.DNSSearches
	}
	return nil
}
