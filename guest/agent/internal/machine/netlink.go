package machine

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// Rtnetlink by hand: a dozen attributes and four messages. A netlink library
// would add 560 KB to the agent and its start.

// request is one rtnetlink message being put together.
type request struct {
	kind  uint16
	flags uint16
	body  []byte
}

// attr appends an attribute.
func (r *request) attr(kind uint16, value []byte) {
	r.body = binary.NativeEndian.AppendUint16(r.body, uint16(4+len(value)))
	r.body = binary.NativeEndian.AppendUint16(r.body, kind)
	r.body = append(r.body, value...)
	for len(r.body)%4 != 0 {
		r.body = append(r.body, 0)
	}
}

func (r *request) attr32(kind uint16, value uint32) {
	r.attr(kind, binary.NativeEndian.AppendUint32(nil, value))
}

// route is an open rtnetlink socket.
type route struct {
	fd  int
	seq uint32
}

func openRoute() (*route, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return &route{fd: fd}, nil
}

func (s *route) close() { _ = unix.Close(s.fd) }

// do sends r and waits for the kernel's verdict.
func (s *route) do(r request) error {
	s.seq++
	m := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(r.body)))
	m = binary.NativeEndian.AppendUint16(m, r.kind)
	m = binary.NativeEndian.AppendUint16(m, r.flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	m = binary.NativeEndian.AppendUint32(m, s.seq)
	m = binary.NativeEndian.AppendUint32(m, 0)
	m = append(m, r.body...)
	if err := unix.Sendto(s.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(s.fd, buf)
		if err != nil {
			return err
		}
		msgs, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, msg := range msgs {
			if msg.Header.Seq != s.seq || msg.Header.Type != unix.NLMSG_ERROR || len(msg.Data) < 4 {
				continue
			}
			if code := int32(binary.NativeEndian.Uint32(msg.Data)); code != 0 {
				return unix.Errno(-code)
			}
			return nil
		}
	}
}

// link is a network interface.
type link struct {
	index int32
	name  string
	mac   []byte
	ether bool
	made  bool // by somebody here, as a dummy or a bridge: no device of the machine
	up    bool // administratively, and with a carrier
}

// links lists the machine's interfaces in order of their index.
func links() ([]link, error) {
	rib, err := syscall.NetlinkRIB(unix.RTM_GETLINK, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	msgs, err := syscall.ParseNetlinkMessage(rib)
	if err != nil {
		return nil, fmt.Errorf("list network interfaces: %w", err)
	}
	var all []link
	for i := range msgs {
		m := &msgs[i]
		if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
			continue
		}
		flags := binary.NativeEndian.Uint32(m.Data[8:])
		l := link{
			index: int32(binary.NativeEndian.Uint32(m.Data[4:])),
			ether: binary.NativeEndian.Uint16(m.Data[2:]) == unix.ARPHRD_ETHER,
			up:    flags&unix.IFF_UP != 0 && flags&unix.IFF_LOWER_UP != 0,
		}
		attrs, err := syscall.ParseNetlinkRouteAttr(m)
		if err != nil {
			return nil, fmt.Errorf("list network interfaces: %w", err)
		}
		for _, a := range attrs {
			switch a.Attr.Type {
			case unix.IFLA_IFNAME:
				l.name = unix.ByteSliceToString(a.Value)
			case unix.IFLA_ADDRESS:
				l.mac = a.Value
			case unix.IFLA_LINKINFO:
				l.made = true
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// linkRequest is a message about the interface with the given index. flags says
// which interface flags it sets.
func linkRequest(index int32, flags uint32) request {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags)
	return request{kind: unix.RTM_NEWLINK, body: b}
}
