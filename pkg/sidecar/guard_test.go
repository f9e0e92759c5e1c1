package sidecar

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"
)

var testMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 1}

// ipFrame returns a frame with a packet of n bytes of payload.
func ipFrame(source, destination string, n int) []byte {
	s, d := netip.MustParseAddr(source), netip.MustParseAddr(destination)
	b := append([]byte{0x52, 0x55, 10, 0, 2, 2}, testMAC...)
	if s.Is4() {
		b = binary.BigEndian.AppendUint16(b, etherIPv4)
		b = append(b, 0x45, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(ipv4Bytes+n))
		b = append(b, 0, 1, 0, 0, 64, 17, 0, 0)
	} else {
		b = binary.BigEndian.AppendUint16(b, etherIPv6)
		b = append(b, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		b = append(b, 17, 64)
	}
	b = append(append(b, s.AsSlice()...), d.AsSlice()...)
	return append(b, bytes.Repeat([]byte{0xee}, n)...)
}

// packet returns a frame with a UDP datagram, or a TCP SYN, or another protocol's payload. (UDP needs no checksum
// over IPv4, TCP does.)
func packet(protocol byte, from, to netip.AddrPort, payload string) []byte {
	frame := ipFrame(from.Addr().String(), to.Addr().String(), 0)
	head := frame[ethernetBytes:]
	head[9] = protocol
	var l4 []byte
	l4 = binary.BigEndian.AppendUint16(l4, from.Port())
	l4 = binary.BigEndian.AppendUint16(l4, to.Port())
	switch protocol {
	case protoUDP:
		l4 = binary.BigEndian.AppendUint16(l4, uint16(8+len(payload)))
		l4 = append(append(l4, 0, 0), payload...)
	case protoTCP:
		l4 = append(l4, 0, 0, 0, 1, 0, 0, 0, 0, 5<<4, 2, 0xff, 0xff, 0, 0, 0, 0)
		pseudo := append(append(from.Addr().AsSlice(), to.Addr().AsSlice()...), 0, protocol, 0, byte(len(l4)))
		binary.BigEndian.PutUint16(l4[16:], checksum(append(pseudo, l4...)))
	default:
		l4 = append(l4, payload...)
	}
	binary.BigEndian.PutUint16(head[2:], uint16(ipv4Bytes+len(l4)))
	binary.BigEndian.PutUint16(head[10:], checksum(head))
	return append(frame, l4...)
}

// checksum is the Internet's, RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// testGuard is the guard of the tests' guest.
func testGuard() *loopbackGuard {
	return newLoopbackGuard(netip.MustParseAddr("10.0.2.2"), netip.MustParseAddr("fe80::2"))
}

func TestMayLeave(t *testing.T) {
	short := func(frame []byte, n int) []byte { return frame[:n] }
	patch := func(frame []byte, at int, b byte) []byte { frame[at] = b; return frame }
	tests := []struct {
		name  string
		frame []byte
		want  bool
	}{
		{name: "the net", frame: ipFrame("10.0.2.15", "192.0.2.1", 8), want: true},
		{name: "no payload", frame: ipFrame("10.0.2.15", "192.0.2.1", 0), want: true},
		{name: "broadcast", frame: ipFrame("10.0.2.15", "255.255.255.255", 8), want: true},
		{name: "loopback", frame: ipFrame("10.0.2.15", "127.0.0.1", 8)},
		{name: "loopback's far end", frame: ipFrame("10.0.2.15", "127.255.255.254", 8)},
		{name: "unspecified", frame: ipFrame("10.0.2.15", "0.0.0.0", 8)},
		{name: "from loopback", frame: ipFrame("127.0.0.1", "192.0.2.1", 8)},
		{name: "header cut short", frame: short(ipFrame("10.0.2.15", "192.0.2.1", 8), 33)},
		{name: "no header", frame: short(ipFrame("10.0.2.15", "192.0.2.1", 8), 14)},
		{name: "not even Ethernet", frame: []byte{1, 2, 3}},
		{name: "empty", frame: nil},
		{name: "IPv4 that says it is IPv6", frame: patch(ipFrame("10.0.2.15", "192.0.2.1", 30), 14, 0x65)},
		{name: "IPv6 that says it is IPv4", frame: patch(ipFrame("fd00::15", "2001:db8::1", 8), 14, 0x45)},
		{name: "IPv4 with options", frame: patch(ipFrame("10.0.2.15", "192.0.2.1", 40), 14, 0x4f), want: true},
		{name: "VLAN around IPv4", frame: patch(patch(ipFrame("10.0.2.15", "127.0.0.1", 30), 12, 0x81), 13, 0)},
		{name: "IPv6", frame: ipFrame("fd00::15", "2001:db8::1", 8), want: true},
		{name: "IPv6 neighbours", frame: ipFrame("fe80::1", "ff02::1:ff00:2", 8), want: true},
		{name: "IPv6 duplicate address detection", frame: ipFrame("::", "ff02::1:ff00:2", 8), want: true},
		{name: "IPv6 to a translated network", frame: ipFrame("fd00::15", "64:ff9b::c000:201", 8), want: true},
		{name: "IPv6 loopback", frame: ipFrame("fd00::15", "::1", 8)},
		{name: "IPv6 unspecified", frame: ipFrame("fd00::15", "::", 8)},
		{name: "IPv6 mapped loopback", frame: ipFrame("fd00::15", "::ffff:127.0.0.1", 8)},
		{name: "IPv6 mapped other", frame: ipFrame("fd00::15", "::ffff:192.0.2.1", 8)},
		{name: "IPv6 compatible loopback", frame: ipFrame("fd00::15", "::127.0.0.1", 8)},
		{name: "IPv6 from loopback", frame: ipFrame("::1", "2001:db8::1", 8)},
		{name: "IPv6 cut short", frame: short(ipFrame("fd00::15", "2001:db8::1", 8), 53)},
		{name: "ARP", frame: arpRequest(testMAC, netip.MustParseAddr("10.0.2.15"), netip.MustParseAddr("10.0.2.2"))[lengthBytes:], want: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := testGuard().mayLeave(tt.frame[:min(len(tt.frame), headBytes)]); got != tt.want {
				t.Errorf("mayLeave(%x) = %v, want %v", tt.frame, got, tt.want)
			}
		})
	}
}

// TestMayLeaveToGateway sends to the address that stands for the host's loopback.
func TestMayLeaveToGateway(t *testing.T) {
	at := netip.MustParseAddrPort
	const ipAt, tcpFlags = ethernetBytes, ethernetBytes + ipv4Bytes + 13
	frame := func(protocol byte, patches ...int) []byte {
		b := packet(protocol, at("10.0.2.15:53"), at("10.0.2.2:4000"), "12345678")
		for i := 0; i < len(patches); i += 2 {
			b[patches[i]] = byte(patches[i+1])
		}
		return b
	}
	frame6 := func(protocol byte) []byte {
		b := ipFrame("fd00::15", "fe80::2", 20)
		b[ipAt+6] = protocol
		binary.BigEndian.PutUint16(b[ipAt+ipv6Bytes+2:], 4000)
		b[ipAt+ipv6Bytes+13] = 0x02
		return b
	}
	asked := func(g *loopbackGuard) {
		g.arrives(packet(protoUDP, at("10.0.2.2:4000"), at("10.0.2.15:53"), "question"))
	}
	tests := []struct {
		name   string
		frame  []byte
		before func(*loopbackGuard)
		after  time.Duration
		want   bool
	}{
		{name: "first segment", frame: frame(protoTCP)},
		{name: "first segment with congestion flags", frame: frame(protoTCP, tcpFlags, 0xc2)},
		{name: "answer to a first segment", frame: frame(protoTCP, tcpFlags, 0x12), want: true},
		{name: "data", frame: frame(protoTCP, tcpFlags, 0x18), want: true},
		{name: "reset", frame: frame(protoTCP, tcpFlags, 0x04), want: true},
		{name: "first fragment of data", frame: frame(protoTCP, tcpFlags, 0x18, ipAt+6, 0x20)},
		{name: "later fragment", frame: frame(protoTCP, tcpFlags, 0x18, ipAt+7, 1)},
		{name: "not to be fragmented", frame: frame(protoTCP, tcpFlags, 0x18, ipAt+6, 0x40), want: true},
		{name: "segment cut short", frame: frame(protoTCP, tcpFlags, 0x18)[:tcpFlags]},
		{name: "options that reach beyond the frame", frame: frame(protoTCP, tcpFlags, 0x18, ipAt, 0x4f)},
		{name: "header shorter than any", frame: frame(protoTCP, tcpFlags, 0x18, ipAt, 0x44)},
		{name: "datagram nobody asked for", frame: frame(protoUDP)},
		{name: "answer", frame: frame(protoUDP), before: asked, want: true},
		{name: "slow answer", frame: frame(protoUDP), before: asked, after: askedFor - time.Second, want: true},
		{name: "late answer", frame: frame(protoUDP), before: asked, after: askedFor},
		{name: "fragment of an answer", frame: frame(protoUDP, ipAt+6, 0x20), before: asked},
		{name: "question from the net", frame: frame(protoUDP), before: func(g *loopbackGuard) {
			g.arrives(packet(protoUDP, at("192.0.2.1:4000"), at("10.0.2.15:53"), "question"))
		}},
		{name: "question to TCP", frame: frame(protoUDP), before: func(g *loopbackGuard) {
			g.arrives(packet(protoTCP, at("10.0.2.2:4000"), at("10.0.2.15:53"), ""))
		}},
		{name: "answer in a flood", frame: frame(protoUDP), before: func(g *loopbackGuard) {
			for port := range maxAskers + 1 {
				g.arrives(packet(protoUDP, netip.AddrPortFrom(g.gateway, uint16(port+1)), at("10.0.2.15:53"), ""))
			}
			if len(g.asked) > maxAskers {
				t.Errorf("%d ports kept", len(g.asked))
			}
			asked(g)
		}, want: true},
		{name: "ping", frame: frame(protoICMP), want: true},
		{name: "other protocol", frame: frame(132)},
		{name: "IPv6 first segment", frame: frame6(protoTCP)},
		{name: "IPv6 datagram nobody asked for", frame: frame6(protoUDP)},
		{name: "IPv6 extension header", frame: frame6(0)},
		{name: "IPv6 neighbour", frame: frame6(protoICMPv6), want: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := testGuard()
			now := time.Now()
			g.now = func() time.Time { return now }
			if tt.before != nil {
				tt.before(g)
			}
			now = now.Add(tt.after)
			if got := g.mayLeave(tt.frame); got != tt.want {
				t.Errorf("mayLeave(%x) = %v, want %v", tt.frame, got, tt.want)
			}
		})
	}
}
