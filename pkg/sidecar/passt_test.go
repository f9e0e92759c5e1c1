package sidecar

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update and look at the change. Got:\n%s", path, got)
	}
}

// argLines puts one option with its value on a line.
func argLines(args []string) string {
	var b strings.Builder
	for i, a := range args {
		switch {
		case i == 0:
		case strings.HasPrefix(a, "-"):
			b.WriteString("\n")
		default:
			b.WriteString(" ")
		}
		b.WriteString(a)
	}
	return b.String() + "\n"
}

func testPasstConfig() PasstConfig {
	return PasstConfig{
		Guest: netip.MustParsePrefix("10.0.2.15/24"), Gateway: netip.MustParseAddr("10.0.2.2"), DNS: netip.MustParseAddr("10.0.2.3"),
		GatewayMAC: "52:55:0a:00:02:02", MTU: 65520,
	}
}

// testPasst is a passt without ports.
func testPasst(path string) PasstLaunch {
	c := testPasstConfig()
	return PasstLaunch{
		Path: path, Args: PasstArgs(c), GuestMAC: testMAC, Guest: c.Guest.Addr(), Gateway: c.Gateway,
		Log: slog.New(slog.DiscardHandler),
	}
}

func TestPasstArgs(t *testing.T) {
	mapping := func(s string) container.PortMapping {
		m, err := container.ParsePortMapping(s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tests := []struct {
		name  string
		ipv6  bool
		ports []container.PortMapping
	}{
		{name: "plain"},
		{name: "ipv6", ipv6: true, ports: []container.PortMapping{mapping("[::1]:8080:80")}},
		{name: "ports", ports: []container.PortMapping{
			mapping("8080:80"), mapping("127.0.0.1:5353:53/udp"), mapping("192.0.2.1:9000-9002:90-92"), mapping("443:443"),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := testPasstConfig()
			c.Ports = tt.ports
			if tt.ipv6 {
				c.Guest6 = netip.MustParsePrefix("fd76:706f:6400::15/64")
				c.Gateway6, c.DNS6 = netip.MustParseAddr("fe80::2"), netip.MustParseAddr("fd76:706f:6400::3")
				c.Interface = "wlan0"
			}
			golden(t, "passt-"+tt.name+".args", argLines(PasstArgs(c)))
		})
	}
}

func TestNewPasstLaunch(t *testing.T) {
	nic := agentproto.NIC{MAC: "02:00:00:00:00:01", Addresses: []string{"10.0.2.15/24", "fd00::15/64"}, Gateways: []string{"10.0.2.2", "fe80::2"}}
	l, err := NewPasstLaunch("/usr/bin/passt", []string{"--quiet"}, nic, slog.New(slog.DiscardHandler))
	if err != nil || l.GuestMAC.String() != nic.MAC || l.Guest.String() != "10.0.2.15" || l.Gateway.String() != "10.0.2.2" || l.Gateway6.String() != "fe80::2" {
		t.Errorf("NewPasstLaunch = %+v, %v", l, err)
	}
	for _, bad := range []agentproto.NIC{
		{MAC: "x"},
		{MAC: nic.MAC, Addresses: []string{"10.0.2.15"}},
		{MAC: nic.MAC, Gateways: []string{"10.0.2.2/24"}},
	} {
		if _, err := NewPasstLaunch("", nil, bad, nil); err == nil {
			t.Errorf("NewPasstLaunch(%+v) succeeded", bad)
		}
	}
}

func TestPasstReason(t *testing.T) {
	stderr := "Failed to send 47 bytes to syslog\nDon't run as root. Changing to nobody...\nFailed to bind any port for '-t 1:2', exiting\n"
	if got, want := passtReason(stderr), "Failed to bind any port for '-t 1:2', exiting"; got != want {
		t.Errorf("passtReason = %q, want %q", got, want)
	}
}

// frameGuest plays the guest's NIC on QEMU's end of the network.
type frameGuest struct {
	t    *testing.T
	conn net.Conn
}

// startFrameGuest starts a real passt and a guest before it.
func startFrameGuest(t *testing.T, ports ...container.PortMapping) (*Passt, *frameGuest) {
	t.Helper()
	path, err := exec.LookPath("passt")
	if err != nil {
		t.Skip("passt is not installed")
	}
	c := testPasstConfig()
	c.Ports = ports
	launch := testPasst(path)
	launch.Args = PasstArgs(c)
	p, err := StartPasst(t.Context(), newSpawner(t), launch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	conn, err := net.FileConn(p.NIC)
	if err != nil {
		t.Fatal(err)
	}
	p.NIC.Close()
	t.Cleanup(func() { conn.Close() })
	return p, &frameGuest{t: t, conn: conn}
}

func (g *frameGuest) send(frame []byte) {
	g.t.Helper()
	if _, err := g.conn.Write(withLength(frame)); err != nil {
		g.t.Fatal(err)
	}
}

// receive returns the packet of the next IPv4 frame with the given protocol, nil
// when none comes within the limit.
func (g *frameGuest) receive(protocol byte, limit time.Duration) []byte {
	g.t.Helper()
	_ = g.conn.SetReadDeadline(time.Now().Add(limit))
	for {
		var length [lengthBytes]byte
		if _, err := io.ReadFull(g.conn, length[:]); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				g.t.Fatal(err)
			}
			return nil
		}
		frame := make([]byte, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(g.conn, frame); err != nil {
			g.t.Fatal(err)
		}
		if len(frame) >= ethernetBytes+ipv4Bytes+8 && binary.BigEndian.Uint16(frame[12:]) == etherIPv4 && frame[ethernetBytes+9] == protocol {
			return frame[ethernetBytes:]
		}
	}
}

// freePort returns a port of 127.0.0.1 nobody uses.
func freePort(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}

func TestPasstPublishes(t *testing.T) {
	tcp, udp := freePort(t), freePort(t)
	p, guest := startFrameGuest(t,
		container.PortMapping{HostIP: "127.0.0.1", HostPort: tcp, ContainerPort: 80, Range: 1, Protocol: "tcp"},
		container.PortMapping{HostIP: "127.0.0.1", HostPort: udp, ContainerPort: 53, Range: 1, Protocol: "udp"})
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}

	// A connection to the host's port reaches the guest as a SYN to the container's.
	go func() {
		if c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", tcp)); err == nil {
			c.Close()
		}
	}()
	syn := guest.receive(protoTCP, 10*time.Second)
	if syn == nil || netip.AddrFrom4([4]byte(syn[16:20])) != netip.MustParseAddr("10.0.2.15") || binary.BigEndian.Uint16(syn[22:]) != 80 {
		t.Errorf("no SYN to port 80: %x", syn)
	}

	// A datagram is answered.
	host, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", udp))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if _, err := host.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	asked := guest.receive(protoUDP, 10*time.Second)
	if asked == nil || string(asked[28:]) != "question" || binary.BigEndian.Uint16(asked[22:]) != 53 {
		t.Fatalf("datagram in the guest: %x", asked)
	}
	from := netip.AddrPortFrom(netip.MustParseAddr("10.0.2.15"), 53)
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte(asked[12:16])), binary.BigEndian.Uint16(asked[20:]))
	guest.send(packet(protoUDP, from, to, "answer"))
	buf := make([]byte, 100)
	_ = host.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := host.Read(buf); err != nil || string(buf[:n]) != "answer" {
		t.Errorf("answer on the host: %q, %v", buf[:n], err)
	}
}

// TestPasstHidesLoopback sends what only a hostile guest would.
func TestPasstHidesLoopback(t *testing.T) {
	p, guest := startFrameGuest(t)
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	from := netip.MustParseAddrPort("10.0.2.15:40000")
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "10.0.2.2"} { // the last is the gateway
		to := netip.MustParseAddr(host)
		guest.send(packet(protoTCP, from, netip.AddrPortFrom(to, uint16(tcp.Addr().(*net.TCPAddr).Port)), ""))
		guest.send(packet(protoUDP, from, netip.AddrPortFrom(to, uint16(udp.LocalAddr().(*net.UDPAddr).Port)), "hello"))
	}
	_ = tcp.(*net.TCPListener).SetDeadline(time.Now().Add(time.Second))
	if c, err := tcp.Accept(); err == nil {
		t.Errorf("the guest connected to the host's loopback as %v", c.RemoteAddr())
		c.Close()
	}
	_ = udp.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if _, addr, err := udp.ReadFrom(make([]byte, 100)); err == nil {
		t.Errorf("the guest reached the host's loopback as %v", addr)
	}
	if got := p.Dropped(); got != 6 {
		t.Errorf("%d frames dropped, want 6", got)
	}
}

func TestPasstEndsWithQEMU(t *testing.T) {
	p, guest := startFrameGuest(t)
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	guest.conn.Close()
	within(t, p.Done(), "end of passt after QEMU's")
	if err := p.Wait(t.Context()); err != nil {
		t.Errorf("Wait = %v", err)
	}
}

func TestPasstPortInUse(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	p, _ := startFrameGuest(t, container.PortMapping{HostIP: "127.0.0.1", HostPort: port, ContainerPort: 80, Range: 1, Protocol: "tcp"})
	err = p.Ready(t.Context())
	var exit *ExitError
	if !errors.As(err, &exit) || !strings.Contains(err.Error(), fmt.Sprintf("passt ended: exit status 1: Failed to bind any port for '-t 127.0.0.1/%d:80'", port)) {
		t.Errorf("Ready = %v", err)
	}
}

func TestPasstDiesWithMonitor(t *testing.T) {
	path, err := exec.LookPath("passt")
	if err != nil {
		t.Skip("passt is not installed")
	}
	killMonitorAndWait(t, startMonitor(t, "passt "+path), 10*time.Second)
}
