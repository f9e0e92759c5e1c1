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

	muxData   = 0
	muxPing   = 2
	muxGoAway = 3

	muxFlagSYN = 1
	muxFlagFIN = 4
	muxFlagRST = 8
)

// guard stands between yamux and the channel. Reading, it ends the session at
// the first frame that our agent never sends and that would cost the host
// memory: yamux answers each ping in a goroutine of its own and queues up every
// stream the other side opens. What comes for a stream that nobody reads any more
// it throws away, which yamux would keep until the agent ends the stream too.
// Writing, it joins a frame's header to its body, which saves an emulated guest
// one interrupt in two.
type guard struct {
	net.Conn

	buf  []byte // read from the channel, not looked at yet: buf[next:]
	next int
	head []byte // of the frame being passed on, what is left of it
	pass uint32 // bytes of its body to pass on
	skip uint32 // or to throw away

	mu      sync.Mutex
	dropped map[uint32]bool // streams that nobody reads
	err     error           // first failure or violation met while reading

	held []byte // header that waits for its body; yamux has one writer
}

// guardBuffer is how much is read from the channel at once, in bytes.
const guardBuffer = 32 << 10

func newGuard(conn net.Conn) *guard {
	return &guard{Conn: conn, dropped: map[uint32]bool{}, buf: make([]byte, 0, guardBuffer)}
}

// drop says that nobody reads the stream any more.
func (g *guard) drop(id uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dropped[id] = true
}

// Read passes on what has been checked.
func (g *guard) Read(p []byte) (int, error) {
	for {
		if len(g.head) > 0 {
			n := copy(p, g.head)
			g.head = g.head[n:]
			return n, nil
		}
		have := g.buf[g.next:]
		switch {
		case g.pass > 0 && len(have) > 0:
			n := copy(p, have[:min(len(have), int(g.pass))])
			g.next += n
			g.pass -= uint32(n)
			return n, nil
		case g.skip > 0 && len(have) > 0:
			n := min(len(have), int(g.skip))
			g.next += n
			g.skip -= uint32(n)
			continue
		case g.pass == 0 && g.skip == 0 && len(have) >= muxHeaderSize:
			g.head = have[:muxHeaderSize]
			g.next += muxHeaderSize
			if err := g.checkHead(); err != nil {
				return 0, g.failed(err)
			}
			continue
		}
		if err := g.fill(); err != nil {
			return 0, g.failed(err)
		}
	}
}

// fill reads more from the channel.
func (g *guard) fill() error {
	if g.next > 0 {
		g.buf = g.buf[:copy(g.buf, g.buf[g.next:])]
		g.next = 0
	}
	n, err := g.Conn.Read(g.buf[len(g.buf):cap(g.buf)])
	g.buf = g.buf[:len(g.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// failed remembers the first reason for which reading has ended.
func (g *guard) failed(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	return err
}

// cause returns why reading has ended, or nil.
func (g *guard) cause() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// checkHead judges the frame whose head has come, and says what becomes of its body.
func (g *guard) checkHead() error {
	version, kind := g.head[0], g.head[1]
	flags := binary.BigEndian.Uint16(g.head[2:])
	id := binary.BigEndian.Uint32(g.head[4:])
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
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	dropped := g.dropped[id]
	if flags&(muxFlagFIN|muxFlagRST) != 0 {
		delete(g.dropped, id)
	}
	if kind == muxData {
		g.pass = length
		if dropped { // yamux still sees the flags
			g.pass, g.skip = 0, length
			binary.BigEndian.PutUint32(g.head[8:], 0)
		}
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
