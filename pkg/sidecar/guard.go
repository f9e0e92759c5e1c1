package sidecar

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"time"
)

// loopbackGuard knows which frames of a guest lead to the host's loopback, where
// services listen because only the host's own users reach it.
//
// passt connects to whatever address a frame names. A guest's kernel never sends
// a packet for 127.0.0.1 to its NIC, but a hostile one can, and Debian 12's passt
// then connects to the host's 127.0.0.1 (tried: also through 0.0.0.0, by TCP and
// UDP, whatever --no-map-gw, --outbound and --outbound-if4 say).
//
// The gateway's address stands for the host's loopback too: a connection from
// 127.0.0.1 to a published port reaches the guest as one from the gateway.
// passt's --no-map-gw would close that way, but with it the guest's UDP answers
// are lost as well. So the guard lets answers through and nothing else: TCP
// segments but for the first of a connection, and UDP to ports that have asked
// lately.
type loopbackGuard struct {
	gateway  netip.Addr
	gateway6 netip.Addr // not valid without IPv6
	now      func() time.Time

	mu    sync.Mutex
	asked map[uint16]time.Time // ports of the gateway that sent UDP to the guest
}

// How long an answer may take, as long as passt remembers (UDP_CONN_TIMEOUT in its
// udp.c), and for how many questions.
const (
	askedFor  = 180 * time.Second
	maxAskers = 16 << 10
)

func newLoopbackGuard(gateway, gateway6 netip.Addr) *loopbackGuard {
	return &loopbackGuard{gateway: gateway, gateway6: gateway6, now: time.Now, asked: map[uint16]time.Time{}}
}

// Sizes of a frame's parts, in bytes.
const (
	ethernetBytes = 14
	ipv4Bytes     = 20 // least
	ipv4MaxBytes  = 60
	ipv6Bytes     = 40
	l4Bytes       = 14 // up to TCP's flags
	headBytes     = ethernetBytes + ipv4MaxBytes + l4Bytes
	arpBytes      = ethernetBytes + 28
)

// EtherTypes, see IEEE 802 Numbers.
const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// IP protocol numbers.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// mayLeave judges a frame of the guest by its head (all of it, or headBytes).
// What passt would not understand anyway does not pass.
func (g *loopbackGuard) mayLeave(head []byte) bool {
	if len(head) < ethernetBytes {
		return false
	}
	if binary.BigEndian.Uint16(head[12:]) == etherARP {
		return true
	}
	p, ok := parsePacket(head)
	if !ok {
		return false
	}
	switch {
	case isHost(p.destination):
		return false
	case isHost(p.source) && !(p.source.Is6() && p.source.IsUnspecified()): // :: asks whether an address is taken
		return false
	case p.destination != g.gateway && p.destination != g.gateway6:
		return true
	}
	return g.isAnswer(p)
}

// isAnswer judges a packet to the gateway.
func (g *loopbackGuard) isAnswer(p packetHead) bool {
	const synFlag, ackFlag = 0x02, 0x10
	switch p.protocol {
	case protoICMP, protoICMPv6:
		return true
	case protoTCP:
		return !p.fragment && len(p.l4) >= l4Bytes && p.l4[13]&(synFlag|ackFlag) != synFlag
	case protoUDP:
		if p.fragment || len(p.l4) < 8 {
			return false
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		at, ok := g.asked[binary.BigEndian.Uint16(p.l4[2:])]
		return ok && g.now().Sub(at) < askedFor
	}
	return false
}

// arrives notes a frame on its way to the guest.
func (g *loopbackGuard) arrives(head []byte) {
	p, ok := parsePacket(head)
	if !ok || p.protocol != protoUDP || p.fragment || len(p.l4) < 8 || p.source != g.gateway && p.source != g.gateway6 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	if len(g.asked) >= maxAskers {
		for port, at := range g.asked {
			if now.Sub(at) >= askedFor {
				delete(g.asked, port)
			}
		}
		if len(g.asked) >= maxAskers {
			clear(g.asked) // a flood: some answers are lost, as UDP's may be
		}
	}
	g.asked[binary.BigEndian.Uint16(p.l4)] = now
}

// packetHead is what the guard looks at of an IP packet.
type packetHead struct {
	source, destination netip.Addr
	protocol            byte
	fragment            bool // a part of a packet
	l4                  []byte
}

// parsePacket reads an IPv4 or IPv6 packet without trusting it; false when the
// frame holds none.
func parsePacket(head []byte) (packetHead, bool) {
	if len(head) < ethernetBytes {
		return packetHead{}, false
	}
	b := head[ethernetBytes:]
	switch binary.BigEndian.Uint16(head[12:]) {
	case etherIPv4:
		if len(b) < ipv4Bytes || b[0]>>4 != 4 {
			return packetHead{}, false
		}
		size := int(b[0]&0xf) * 4
		if size < ipv4Bytes || size > len(b) {
			return packetHead{}, false
		}
		const moreFragments, offset = 0x2000, 0x1fff
		return packetHead{
			source: netip.AddrFrom4([4]byte(b[12:16])), destination: netip.AddrFrom4([4]byte(b[16:20])),
			protocol: b[9], fragment: binary.BigEndian.Uint16(b[6:])&(moreFragments|offset) != 0, l4: b[size:],
		}, true
	case etherIPv6:
		if len(b) < ipv6Bytes || b[0]>>4 != 6 {
			return packetHead{}, false
		}
		// A packet with extension headers has their number for its protocol.
		return packetHead{
			source: netip.AddrFrom16([16]byte(b[8:24])), destination: netip.AddrFrom16([16]byte(b[24:40])),
			protocol: b[6], l4: b[ipv6Bytes:],
		}, true
	}
	return packetHead{}, false
}

// isHost reports whether connecting to the address leads to this host's loopback:
// 127.0.0.0/8, and 0.0.0.0/8 of which Linux takes 0.0.0.0 for 127.0.0.1; ::1, ::,
// and the IPv4 addresses within ::/96 and ::ffff:0:0/96, whatever they are: IPv4
// has its own frames.
func isHost(a netip.Addr) bool {
	if a.Is4() {
		return a.As4()[0] == 127 || a.As4()[0] == 0
	}
	b := a.As16()
	return a.Is4In6() || [12]byte(b[:12]) == [12]byte{}
}
