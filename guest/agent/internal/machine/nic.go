package machine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// nic is a checked agentproto.NIC.
type nic struct {
	mac      []byte
	name     string
	addrs    []netip.Prefix
	gateways []netip.Addr
	mtu      uint32
}

// parseNIC checks everything before anything is changed.
func parseNIC(n agentproto.NIC) (nic, error) {
	bad := func(what, value string) (nic, error) {
		return nic{}, fmt.Errorf("network interface %q: invalid %s %q", n.Name, what, value)
	}
	out := nic{name: n.Name}
	if n.Name == "" || len(n.Name) >= unix.IFNAMSIZ || strings.ContainsAny(n.Name, "/: \t\n\x00") || n.Name[0] == '.' {
		return bad("name", n.Name)
	}
	if n.MTU < 0 || n.MTU > 1<<20 {
		return bad("MTU", fmt.Sprint(n.MTU))
	}
	out.mtu = uint32(n.MTU)
	mac, ok := parseMAC(n.MAC)
	if !ok {
		return bad("MAC address", n.MAC)
	}
	out.mac = mac
	for _, a := range n.Addresses {
		p, err := netip.ParsePrefix(a)
		if err != nil {
			return bad("address", a)
		}
		out.addrs = append(out.addrs, p)
	}
	for _, g := range n.Gateways {
		a, err := netip.ParseAddr(g)
		if err != nil {
			return bad("gateway", g)
		}
		out.gateways = append(out.gateways, a)
	}
	return out, nil
}

// parseMAC reads "52:54:00:12:34:56".
func parseMAC(s string) ([]byte, bool) {
	const hex = "0123456789abcdef"
	parts := strings.Split(strings.ToLower(s), ":")
	if len(parts) != 6 {
		return nil, false
	}
	mac := make([]byte, 6)
	for i, p := range parts {
		if len(p) != 2 {
			return nil, false
		}
		hi, lo := strings.IndexByte(hex, p[0]), strings.IndexByte(hex, p[1])
		if hi < 0 || lo < 0 {
			return nil, false
		}
		mac[i] = byte(hi<<4 | lo)
	}
	return mac, true
}

// SetupNICs configures the machine's interfaces. It may wait a short while for
// their links.
func SetupNICs(want []agentproto.NIC) error {
	if len(want) == 0 {
		return nil
	}
	nics := make([]nic, len(want))
	for i, w := range want {
		n, err := parseNIC(w)
		if err != nil {
			return err
		}
		nics[i] = n
	}
	have, err := links()
	if err != nil {
		return err
	}
	s, err := openRoute()
	if err != nil {
		return err
	}
	defer s.close()
	chosen := make([]link, len(nics))
	for i, n := range nics {
		at := choose(n.mac, have)
		if at < 0 {
			return fmt.Errorf("network interface %q: the machine has no Ethernet device for it", n.name)
		}
		chosen[i] = have[at]
		have = append(have[:at:at], have[at+1:]...)
	}
	for i, n := range nics {
		if err := s.configure(chosen[i], n); err != nil {
			return fmt.Errorf("network interface %q: %w", n.name, err)
		}
	}
	return nil
}

// choose returns the index in have of the interface with the given address, else
// of the first Ethernet interface, else -1.
func choose(mac []byte, have []link) int {
	first := -1
	for i, l := range have {
		if !l.ether {
			continue
		}
		if bytes.Equal(l.mac, mac) {
			return i
		}
		if first < 0 && !l.made {
			first = i
		}
	}
	return first
}

func (s *route) configure(l link, n nic) error {
	// Name and address change only while the interface is down.
	if l.name != n.name || !bytes.Equal(l.mac, n.mac) {
		r := linkRequest(l.index, 0)
		binary.NativeEndian.PutUint32(r.body[12:], unix.IFF_UP)
		r.attr(unix.IFLA_IFNAME, append([]byte(n.name), 0))
		r.attr(unix.IFLA_ADDRESS, n.mac)
		if l.up {
			if err := s.do(downRequest(l.index)); err != nil {
				return fmt.Errorf("take down: %w", err)
			}
		}
		if err := s.do(r); err != nil {
			return fmt.Errorf("set name and address: %w", err)
		}
	}
	r := linkRequest(l.index, unix.IFF_UP)
	if n.mtu != 0 {
		r.attr32(unix.IFLA_MTU, n.mtu)
	}
	if err := s.do(r); err != nil {
		return fmt.Errorf("bring up: %w", err)
	}
	for _, a := range n.addrs {
		if err := s.do(addressRequest(l.index, a)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s: %w", a, err)
		}
	}
	for _, g := range n.gateways {
		if err := s.do(gatewayRequest(l.index, g)); err != nil {
			return fmt.Errorf("add default route through %s: %w", g, err)
		}
	}
	waitForCarrier(l.index)
	return nil
}

func downRequest(index int32) request {
	r := linkRequest(index, 0)
	binary.NativeEndian.PutUint32(r.body[12:], unix.IFF_UP)
	return r
}

func addressRequest(index int32, p netip.Prefix) request {
	// struct ifaddrmsg: family, prefix length, flags, scope, index. The address is
	// nobody else's, so no packet waits for duplicate address detection.
	r := request{kind: unix.RTM_NEWADDR, flags: unix.NLM_F_CREATE | unix.NLM_F_EXCL}
	r.body = []byte{family(p.Addr()), byte(p.Bits()), unix.IFA_F_NODAD, unix.RT_SCOPE_UNIVERSE}
	r.body = binary.NativeEndian.AppendUint32(r.body, uint32(index))
	r.attr(unix.IFA_LOCAL, p.Addr().AsSlice())
	r.attr(unix.IFA_ADDRESS, p.Addr().AsSlice())
	if p.Addr().Is4() && p.Bits() < 31 {
		b := p.Masked().Addr().As4()
		broadcast := binary.BigEndian.Uint32(b[:]) | 1<<(32-p.Bits()) - 1
		r.attr(unix.IFA_BROADCAST, binary.BigEndian.AppendUint32(nil, broadcast))
	}
	return r
}

func gatewayRequest(index int32, gw netip.Addr) request {
	// struct rtmsg: family, destination and source length, tos, table, protocol,
	// scope, type, flags. On-link: the gateway need not lie within an address's
	// network.
	r := request{kind: unix.RTM_NEWROUTE, flags: unix.NLM_F_CREATE | unix.NLM_F_REPLACE}
	r.body = []byte{family(gw), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST}
	r.body = binary.NativeEndian.AppendUint32(r.body, unix.RTNH_F_ONLINK)
	r.attr(unix.RTA_GATEWAY, gw.AsSlice())
	r.attr32(unix.RTA_OIF, uint32(index))
	return r
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// carrierWait bounds the wait for a link to come up: a packet sent before would
// be lost, but a cable that is out must not keep a container from starting.
const carrierWait = 200 * time.Millisecond

func waitForCarrier(index int32) {
	for end := time.Now().Add(carrierWait); ; time.Sleep(2 * time.Millisecond) {
		all, err := links()
		if err != nil || time.Now().After(end) {
			return
		}
		for _, l := range all {
			if l.index == index && l.up {
				return
			}
		}
	}
}

// LoopbackUp brings up the loopback interface of the calling thread's network
// namespace. Its index is always 1.
func LoopbackUp() error {
	s, err := openRoute()
	if err != nil {
		return err
	}
	defer s.close()
	return s.do(linkRequest(1, unix.IFF_UP))
}
