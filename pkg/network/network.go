// Package network plans how a container's machine is connected: which addresses
// its guest gets, which helper stands behind its NIC, which ports of the host
// lead to it, and what its /etc/hosts, /etc/hostname and /etc/resolv.conf say.
//
// It decides and starts nothing: New is a function of the spec and of facts that
// ReadHost gathers before. The engine calls it and copies the plan into the
// monitor's orders.
//
// User-mode networking, the default, has two back ends. Both give the guest the
// same addresses, so that nothing inside depends on which one runs:
//
//   - passt, when installed. The guest reaches what the host reaches, except for
//     the host's loopback (see sidecar.StartPasst), with IPv6 where the host has
//     it.
//   - QEMU's built-in NAT. Slower, IPv4 alone, and the gateway's address leads to
//     the host's loopback, which QEMU has no option to prevent: a service that
//     listens on the host's 127.0.0.1 is within the guest's reach.
package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/sidecar"
)

// The guest's addresses: those of QEMU's built-in NAT, and the like for IPv6 from a
// unique local prefix ("vpod" in ASCII). Every machine has the same: no two share a
// network.
const (
	guestPrefix  = "10.0.2.15/24"
	networkCIDR  = "10.0.2.0/24"
	gatewayAddr  = "10.0.2.2"
	dnsAddr      = "10.0.2.3"
	gatewayMAC   = "52:55:0a:00:02:02" // as QEMU's built-in NAT forms it from the address
	guest6Prefix = "fd76:706f:6400::15/64"
	gateway6Addr = "fe80::2" // passt wants a link-local one
	dns6Addr     = "fd76:706f:6400::3"

	interfaceName = "eth0"
	passtMTU      = 65520 // the most passt carries, in bytes; segments are cut on the host
)

// Container is what a plan needs to know of a container.
type Container struct {
	Name     string
	Hostname string
	Network  container.Network
}

// Plan is the connection of one machine.
type Plan struct {
	NIC   *agentproto.NIC // nil: no network device
	Passt *Passt          // behind the NIC; exactly one of Passt and User, neither without a NIC
	User  *User
	Ports []container.PortMapping // published, one port each, without repetition
	Files []agentproto.File       // to be put over the image's
}

// Passt says that the NIC's other end is passt.
type Passt struct {
	Path string
	Args []string // see sidecar.PasstArgs
}

// User says that the NIC's other end is QEMU's built-in NAT. Its forwards are the
// plan's Ports.
type User struct {
	Network string // IPv4 prefix
	Host    string // the host as the guest sees it
	DNS     string // name server as the guest sees it
	Guest   string // the guest's address
}

// New plans the connection of a container. The ports' host ports must have been
// chosen (ChoosePorts).
func New(c Container, host Host) (*Plan, error) {
	if err := Validate(c.Network); err != nil {
		return nil, err
	}
	p := &Plan{}
	var servers nameServers
	var err error
	switch c.Network.Mode {
	case container.NetworkNone:
	case container.NetworkUser:
		servers = chooseServers(c.Network.DNS, parseResolvConf(host.ResolvConf).servers, host.Passt != "" && host.IPv6())
		p, err = planUser(c.Network, host, servers)
	default:
		err = fmt.Errorf("unknown network mode %q", c.Network.Mode)
	}
	if err != nil {
		return nil, err
	}
	p.Files, err = planFiles(c, host, p.NIC != nil, servers.addrs)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// planUser plans user-mode networking.
func planUser(n container.Network, host Host, servers nameServers) (*Plan, error) {
	ports, err := expandPorts(n.Ports)
	if err != nil {
		return nil, err
	}
	for _, m := range ports {
		if m.HostPort == 0 {
			return nil, fmt.Errorf("publish %s: no host port was chosen", m)
		}
	}
	p := &Plan{
		NIC: &agentproto.NIC{
			MAC: n.MAC, Name: interfaceName,
			Addresses: []string{guestPrefix}, Gateways: []string{gatewayAddr},
		},
		Ports: ports,
	}
	if host.Passt == "" {
		if err := checkUserPorts(ports); err != nil {
			return nil, err
		}
		p.User = &User{Network: networkCIDR, Host: gatewayAddr, DNS: dnsAddr, Guest: netip.MustParsePrefix(guestPrefix).Addr().String()}
		return p, nil
	}
	if err := checkPasstPorts(ports, host.IPv6()); err != nil {
		return nil, err
	}
	config := sidecar.PasstConfig{
		Guest: netip.MustParsePrefix(guestPrefix), Gateway: netip.MustParseAddr(gatewayAddr),
		GatewayMAC: gatewayMAC, MTU: passtMTU, Ports: ports,
	}
	if servers.forward4 {
		config.DNS = netip.MustParseAddr(dnsAddr)
	}
	if servers.forward6 {
		config.DNS6 = netip.MustParseAddr(dns6Addr)
	}
	if host.IPv6() {
		config.Guest6 = netip.MustParsePrefix(guest6Prefix)
		config.Gateway6 = netip.MustParseAddr(gateway6Addr)
		config.Interface = host.Interface6
		p.NIC.Addresses = append(p.NIC.Addresses, guest6Prefix)
		p.NIC.Gateways = append(p.NIC.Gateways, gateway6Addr)
	}
	p.NIC.MTU = passtMTU
	p.Passt = &Passt{Path: host.Passt, Args: sidecar.PasstArgs(config)}
	return p, nil
}

// planFiles writes the files a container finds in /etc.
func planFiles(c Container, host Host, connected bool, servers []string) ([]agentproto.File, error) {
	const mode = 0o644
	files := []agentproto.File{{Path: "/etc/hostname", Mode: mode, Data: []byte(c.Hostname + "\n")}}
	if !c.Network.NoHosts {
		own := netip.MustParseAddr("127.0.0.1")
		if connected {
			own = netip.MustParsePrefix(guestPrefix).Addr()
		}
		data, err := hostsFile(hostsConfig{
			base: host.Hosts, extra: c.Network.AddHosts, host: host.Address,
			own: own, names: ownNames(c),
		})
		if err != nil {
			return nil, err
		}
		files = append(files, agentproto.File{Path: "/etc/hosts", Mode: mode, Data: data})
	}
	if connected && !slices.Equal(c.Network.DNS, []string{"none"}) {
		data := resolvConf(servers, parseResolvConf(host.ResolvConf), c.Network.DNSSearch, c.Network.DNSOptions)
		files = append(files, agentproto.File{Path: "/etc/resolv.conf", Mode: mode, Data: data})
	}
	return files, nil
}

// ownNames are the names a container knows itself by.
func ownNames(c Container) []string {
	names := []string{c.Hostname}
	if c.Name != c.Hostname {
		names = append(names, c.Name)
	}
	return slices.DeleteFunc(names, func(s string) bool { return s == "" })
}

// Validate checks what the user asked, without looking at the host.
func Validate(n container.Network) error {
	switch n.Mode {
	case container.NetworkUser:
		if _, err := ParseMAC(n.MAC); err != nil {
			return err
		}
	case container.NetworkNone:
		if len(n.DNS)+len(n.DNSSearch)+len(n.DNSOptions) > 0 {
			return errors.New("conflicting options: dns and the network mode: none")
		}
	default:
		return fmt.Errorf("unknown network mode %q: use %s or %s", n.Mode, container.NetworkUser, container.NetworkNone)
	}
	if n.NoHosts && len(n.AddHosts) > 0 {
		return errors.New("--no-hosts and --add-host cannot be set together")
	}
	for _, entry := range n.AddHosts {
		if _, err := parseAddHost(entry); err != nil {
			return err
		}
	}
	for _, server := range n.DNS {
		if server == "none" {
			if len(n.DNS) > 1 {
				return errors.New("none is not allowed to be specified with other DNS ip addresses")
			}
			continue
		}
		if _, err := netip.ParseAddr(server); err != nil {
			return fmt.Errorf("%s is not an ip address: --dns takes addresses of name servers, or none", server)
		}
	}
	for _, text := range slices.Concat(n.DNSSearch, n.DNSOptions) {
		if strings.ContainsAny(text, " \t\r\n") {
			return fmt.Errorf("%q contains white space: give --dns-search and --dns-option once for each", text)
		}
	}
	_, err := expandPorts(n.Ports)
	return err
}
