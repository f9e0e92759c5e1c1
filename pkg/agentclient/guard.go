package agentclient

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"

	"vpod/pkg/agentproto"
)

// Frames of yamux; see its spec.md, "Framing".
const (
	muxHeaderSize = 12

	muxData         = 0
	muxWindowUpdate = 1
	muxPing         = 2
	muxGoAway       = 3

	muxFlagSYN = 1
)

// guard stands between yamux and the channel. Reading, it ends the session at
// the first frame that our agent never sends and that would cost the host
// memory: yamux answers each ping in a goroutine of its own and queues up every
// stream the other side opens. Writing, it joins a frame's header to its body,
// which saves an emulated guest one interrupt in two.
type guard struct {
	net.Conn

	head     [muxHeaderSize]byte // of the frame being read
	headLen  int
	bodyLeft uint32

	mu  sync.Mutex
	err error // first failure or violation met while reading

	held []byte // header that waits for its body; yamux has one writer
}

// Read passes on what has been checked; a violation takes the whole read with it.
func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if violation := g.check(p[:n]); violation != nil {
		n, err = 0, violation
	}
	if err != nil {
		g.mu.Lock()
		if g.err == nil {
			g.err = err
		}
		g.mu.Unlock()
	}
	return n, err
}

// cause returns why reading has ended, or nil.
func (g *guard) cause() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// check follows the frames in b, which goes on where the last call ended.
func (g *guard) check(b []byte) error {
	for len(b) > 0 {
		if g.bodyLeft > 0 {
			n := min(uint32(len(b)), g.bodyLeft)
			g.bodyLeft -= n
			b = b[n:]
			continue
		}
		n := copy(g.head[g.headLen:], b)
		g.headLen += n
		b = b[n:]
		if g.headLen < muxHeaderSize {
			return nil
		}
		g.headLen = 0
		if err := g.checkHead(); err != nil {
			return err
		}
	}
	return nil
}

func (g *guard) checkHead() error {
	version, kind := g.head[0], g.head[1]
	flags := binary.BigEndian.Uint16(g.head[2:])
	length := binary.BigEndian.Uint32(g.head[8:])
	switch {
	case version != 0:
		return fmt.Errorf("%w: stream frame of version %d", ErrProtocol, version)
	case flags&muxFlagSYN != 0:
		return fmt.Errorf("%w: it opened a stream of its own", ErrProtocol)
	case kind == muxPing:
		return fmt.Errorf("%w: it sent a ping", ErrProtocol)
	case kind == muxGoAway:
		return fmt.Errorf("%w: it refused to go on (code %d)", ErrProtocol, length)
	case kind > muxGoAway:
		return fmt.Errorf("%w: stream frame of unknown type %d", ErrProtocol, kind)
	case kind == muxData && length > agentproto.Window:
		return fmt.Errorf("%w: %d bytes in one frame", ErrProtocol, length)
	case kind == muxData:
		g.bodyLeft = length
	}
	return nil
}

// Write holds back the header of a data frame until its body comes.
func (g *guard) Write(p []byte) (int, error) {
	if len(g.held) == 0 && len(p) == muxHeaderSize && p[1] == muxData && binary.BigEndian.Uint32(p[8:]) > 0 {
		g.held = append(g.held, p...)
		return len(p), nil
	}
	if len(g.held) == 0 {
		return g.Conn.Write(p)
	}
	both := net.Buffers{g.held, p}
	n, err := both.WriteTo(g.Conn)
	n -= muxHeaderSize
	g.held = g.held[:0]
	return int(max(n, 0)), err
}
