package sidecar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
)

// PasstConfig is what passt is told. Addresses are those the guest sees; it
// configures them itself, passt's DHCP and router advertisements are off.
type PasstConfig struct {
	Guest      netip.Prefix // IPv4 address of the guest with its network
	Gateway    netip.Addr
	DNS        netip.Addr // not valid is none; see below
	GatewayMAC string
	MTU        int // in bytes

	// The same for IPv6; the zero Prefix switches IPv6 off. The gateway must be a
	// link-local address; Interface is the host's interface towards the IPv6 net.
	Guest6    netip.Prefix
	Gateway6  netip.Addr
	DNS6      netip.Addr
	Interface string

	Ports []container.PortMapping // with host ports chosen

	// About DNS and DNS6: UDP queries to these addresses go to the first server of
	// their kind in the host's resolv.conf, as a guest cannot reach one on the host's
	// loopback. passt then shows every answer of that server as one from the address:
	// the guest must not ask the server directly.
}

// PasstArgs returns passt's arguments but for the socket, which StartPasst adds.
// The gateway's address leads to the host's loopback, as far as StartPasst's filter
// lets it. They fit Debian 12's passt of 2023-03-09 and later ones, started by root (it
// becomes nobody), by an ordinary user, and by root of a user namespace.
func PasstArgs(c PasstConfig) []string {
	args := []string{
		"--foreground", // or it would leave its parent
		"--quiet",
		"--stderr",
		"--address", c.Guest.Addr().String(),
		"--netmask", net.IP(net.CIDRMask(c.Guest.Bits(), 32)).String(),
		"--gateway", c.Gateway.String(),
		"--mac-addr", c.GatewayMAC,
		"--mtu", strconv.Itoa(c.MTU),
		"--no-dhcp", "--no-dhcpv6", "--no-ra",
	}
	// The interface is where addresses not given would come from, no more. passt
	// refuses to start without one, and by default takes that of the IPv4 default
	// route, which a host may lack.
	if c.Guest6.IsValid() {
		args = append(args,
			"--interface", c.Interface,
			"--address", c.Guest6.Addr().String(),
			"--gateway", c.Gateway6.String(),
		)
	} else {
		args = append(args, "--interface", "lo", "--ipv4-only", "--no-ndp")
	}
	for _, dns := range []netip.Addr{c.DNS, c.DNS6} {
		if dns.IsValid() {
			args = append(args, "--dns-forward", dns.String())
		}
	}
	args = append(args, portArgs("--tcp-ports", "tcp", c.Ports)...)
	return append(args, portArgs("--udp-ports", "udp", c.Ports)...)
}

// portArgs returns one option for each port: of a range, passt is content with
// one port it can bind.
func portArgs(option, protocol string, ports []container.PortMapping) []string {
	var args []string
	for _, m := range ports {
		if m.Protocol != protocol {
			continue
		}
		for i := range max(m.Range, 1) {
			spec := fmt.Sprintf("%d:%d", m.HostPort+i, m.ContainerPort+i)
			if m.HostIP != "" {
				spec = m.HostIP + "/" + spec
			}
			args = append(args, option, spec)
		}
	}
	if len(args) == 0 {
		return []string{option, "none"}
	}
	return args
}

// Passt is a running passt and the filter between it and QEMU.
type Passt struct {
	*Process

	// NIC is QEMU's end of the network: a stream of frames, each after its length
	// in four bytes. The caller hands it to QEMU and closes it.
	NIC *os.File

	filter *frameFilter
}

// PasstLaunch is a passt to start.
type PasstLaunch struct {
	Path     string
	Args     []string         // as PasstArgs returns them
	GuestMAC net.HardwareAddr //
	Guest    netip.Addr       // IPv4
	Gateway  netip.Addr       // IPv4
	Gateway6 netip.Addr       // not valid without IPv6
	Log      *slog.Logger     // nil logs nothing
}

// NewPasstLaunch fills a PasstLaunch from the guest's side of the NIC.
func NewPasstLaunch(path string, args []string, nic agentproto.NIC, log *slog.Logger) (PasstLaunch, error) {
	l := PasstLaunch{Path: path, Args: args, Log: log}
	var err error
	if l.GuestMAC, err = net.ParseMAC(nic.MAC); err != nil {
		return PasstLaunch{}, fmt.Errorf("network interface: %w", err)
	}
	for _, s := range nic.Addresses {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			return PasstLaunch{}, fmt.Errorf("network interface: %w", err)
		}
		if prefix.Addr().Is4() && !l.Guest.IsValid() {
			l.Guest = prefix.Addr()
		}
	}
	for _, s := range nic.Gateways {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return PasstLaunch{}, fmt.Errorf("network interface: %w", err)
		}
		if addr.Is4() {
			l.Gateway = addr
		} else {
			l.Gateway6 = addr
		}
	}
	return l, nil
}

// socketBuffer is the size of the buffers between QEMU and passt, in bytes; the
// kernel grants less where net.core.wmem_max says so.
const socketBuffer = 1 << 20

// StartPasst starts passt and returns at once; Ready waits until it serves. It
// ends when QEMU's end of NIC is closed everywhere, and so with the machine.
func StartPasst(ctx context.Context, s *Spawner, l PasstLaunch) (*Passt, error) {
	if len(l.GuestMAC) != 6 || !l.Guest.Is4() || !l.Gateway.Is4() {
		return nil, errors.New("start passt: the guest's MAC or IPv4 address or its gateway is missing")
	}
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	toQEMU, nic, err := streamPair()
	if err != nil {
		return nil, fmt.Errorf("start passt: %w", err)
	}
	toPasst, end, err := streamPair()
	if err != nil {
		toQEMU.Close()
		nic.Close()
		return nil, fmt.Errorf("start passt: %w", err)
	}
	process, err := s.Start(ctx, Command{
		Name:  "passt",
		Path:  l.Path,
		Args:  append([]string{"--fd", "3"}, l.Args...),
		Files: []*os.File{end},
	})
	end.Close()
	if err != nil {
		toQEMU.Close()
		toPasst.Close()
		nic.Close()
		return nil, err
	}
	p := &Passt{Process: process, NIC: nic, filter: &frameFilter{
		guest: toQEMU, net: toPasst, guard: newLoopbackGuard(l.Gateway, l.Gateway6), log: l.Log,
		probe:    arpRequest(l.GuestMAC, l.Guest, l.Gateway),
		answered: make(chan struct{}), ended: make(chan struct{}),
	}}
	p.filter.start()
	return p, nil
}

// Ready waits until passt answers, hence has bound every published port. It
// returns passt's own reason when passt has given up.
func (p *Passt) Ready(ctx context.Context) error {
	select {
	case <-p.filter.answered:
		return nil
	case <-p.Done():
		return p.Err()
	case <-ctx.Done():
		return fmt.Errorf("wait for passt: %w", ctx.Err())
	}
}

// Err says how passt ended, once Done is closed. An end with status 0 while a
// machine runs is an error too, but not one passt can name.
func (p *Passt) Err() error {
	var exit *ExitError
	if !errors.As(p.Wait(context.Background()), &exit) {
		return errors.New("passt has ended")
	}
	clean := *exit
	clean.Stderr = passtReason(exit.Stderr)
	return &clean
}

// passtReason drops what passt says besides its reason to give up.
func passtReason(stderr string) string {
	var kept []string
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		noise := line == "" || strings.HasPrefix(line, "Failed to send ") && strings.HasSuffix(line, " bytes to syslog") ||
			strings.HasPrefix(line, "Don't run as root")
		if !noise {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// Close ends passt and the filter and waits for both. NIC stays the caller's.
func (p *Passt) Close() {
	p.filter.close()
	p.Kill()
	<-p.filter.ended
}

// Dropped is the number of frames refused so far.
func (p *Passt) Dropped() uint64 { return p.filter.dropped.Load() }

// streamPair returns a connected pair of stream sockets: one to use here, one to
// give away. Neither is inherited by other processes.
func streamPair() (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer) // less is slower, no more
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "network"), os.NewFile(uintptr(fds[1]), "network")
	conn, err := net.FileConn(ours) // duplicates
	ours.Close()
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make socket pair: %w", err)
	}
	return conn.(*net.UnixConn), theirs, nil
}
