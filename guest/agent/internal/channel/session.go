package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"vpod/pkg/agentproto"
)

// device is what a Link needs of a Port.
type device interface {
	read(b []byte, wait bool) (int, error)
	write(b []byte) (int, error)
	interrupt(on bool)
}

// Link makes sessions of a Port. It is used by one goroutine at a time.
type Link struct {
	dev   device
	in    buffer
	nonce uint64 // of the latest session
}

// NewLink returns a Link over p.
func NewLink(p *Port) *Link { return &Link{dev: p} }

// Accept waits for a preamble, echoes it and returns the session's Conn. The
// previous Conn must have been closed.
func (l *Link) Accept() (*Conn, error) {
	l.dev.interrupt(false)
	nonce := l.nonce
	for nonce == l.nonce { // that one ends a session
		var err error
		if nonce, err = agentproto.ReadPreamble(waitingReader{l}, 0); err != nil {
			return nil, fmt.Errorf("wait for the host: %w", err)
		}
	}
	l.nonce = nonce
	p := agentproto.Preamble(nonce)
	if _, err := l.dev.write(p[:]); err != nil {
		return nil, fmt.Errorf("answer the host: %w", err)
	}
	c := &Conn{link: l, end: matcher{marker: p}}
	if rest, ended := c.end.scan(l.in.data); ended {
		l.in.data = rest
		c.broken.Store(true)
	}
	return c, nil
}

// waitingReader reads what the host writes and waits while it is not connected.
type waitingReader struct{ l *Link }

func (r waitingReader) Read(b []byte) (int, error) {
	if len(r.l.in.data) == 0 {
		if _, err := r.l.in.more(r.l.dev, true); err != nil {
			return 0, err
		}
	}
	return r.l.in.take(b, len(b)), nil
}

// Conn is one session's stream, an io.ReadWriteCloser for yamux.
//
// It follows the yamux frames it carries: when the host begins a new session on
// a channel that was never seen to break, as after the restore of a saved
// machine, a preamble stands where a frame should begin. The Conn then ends and
// the next Accept answers that preamble. In the middle of a frame any preamble but
// the session's own might be somebody's data.
type Conn struct {
	link   *Link
	pass   int // bytes that may be handed out before the next frame begins
	end    matcher
	broken atomic.Bool

	mu      sync.Mutex // held while writing, so that Close can wait for it
	closed  bool
	header  []byte // a data frame's header, kept back to be sent with its body
	scratch []byte
}

// yamux's header: version, type, flags (2), stream id (4), length (4); see its
// spec.md. Only data frames have a body.
const (
	yamuxHeaderSize = 12
	yamuxTypeData   = 0
)

// errClosed reports the use of a Conn after Close. Its text tells yamux that
// this is no failure worth a line in the log.
var errClosed = errors.New("channel closed")

// Read implements io.Reader. It returns io.EOF when the session is over.
func (c *Conn) Read(b []byte) (int, error) {
	// What is there after the end is the next session's. yamux does read on: it
	// takes an end within a frame for the end of the frame.
	if c.broken.Load() {
		return 0, io.EOF
	}
	if c.pass == 0 {
		if err := c.frame(); err != nil {
			return 0, err
		}
	}
	if err := c.fill(1); err != nil {
		return 0, err
	}
	n := c.link.in.take(b, c.pass)
	c.pass -= n
	return n, nil
}

// Broken reports whether the session is known to have ended. It is set before
// Read reports it: what comes out of a frame that was cut short can be told by it.
func (c *Conn) Broken() bool { return c.broken.Load() }

// fill reads until at least n bytes are there.
func (c *Conn) fill(n int) (err error) {
	defer func() {
		if err != nil {
			c.broken.Store(true)
		}
	}()
	in := &c.link.in
	for len(in.data) < n {
		fresh, err := in.more(c.link.dev, false)
		if err != nil {
			return err
		}
		if rest, ended := c.end.scan(fresh); ended {
			in.data = rest
			return io.EOF
		}
	}
	return nil
}

// frame looks at the beginning of a frame, or of a new session; that is left for
// Accept.
func (c *Conn) frame() error {
	if err := c.fill(1); err != nil {
		return err
	}
	if c.link.in.data[0] == preambleFirst {
		c.broken.Store(true)
		return io.EOF
	}
	if err := c.fill(yamuxHeaderSize); err != nil {
		return err
	}
	h := c.link.in.data
	c.pass = yamuxHeaderSize
	if h[1] == yamuxTypeData {
		c.pass += int(binary.BigEndian.Uint32(h[8:]))
	}
	return nil
}

// preambleFirst is the first byte of every preamble.
var preambleFirst = agentproto.Preamble(0)[0]

// coalesce is how much of a body is copied to go out with its header in one
// write. The port sends at most 32 KiB at once (drivers/char/virtio_console.c).
const coalesce = 32 << 10

// Write implements io.Writer for yamux, which writes a frame's header and body
// apart: the header of a data frame waits for its body, as every write to the
// port costs an exit to the host.
func (c *Conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, errClosed
	}
	if c.header == nil && len(b) == yamuxHeaderSize && b[1] == yamuxTypeData && binary.BigEndian.Uint32(b[8:]) > 0 {
		c.header = append(make([]byte, 0, yamuxHeaderSize), b...)
		return len(b), nil
	}
	if c.header == nil {
		return c.link.dev.write(b)
	}
	first := min(len(b), coalesce-len(c.header))
	c.scratch = append(append(c.scratch[:0], c.header...), b[:first]...)
	c.header = nil
	if _, err := c.link.dev.write(c.scratch); err != nil {
		return 0, err
	}
	if first == len(b) {
		return len(b), nil
	}
	n, err := c.link.dev.write(b[first:])
	return first + n, err
}

// Close ends the session: reads and writes under way return, and no write comes
// after Close has.
func (c *Conn) Close() error {
	c.broken.Store(true)
	c.link.dev.interrupt(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

// matcher looks for a session's own preamble in what comes from the host.
type matcher struct {
	marker [agentproto.PreambleSize]byte
	tail   []byte // the last bytes seen, fewer than the marker has
}

// scan looks at the bytes that come next and returns what follows the marker.
func (m *matcher) scan(fresh []byte) (rest []byte, found bool) {
	before := len(m.tail)
	seam := append(m.tail, fresh[:min(len(fresh), len(m.marker)-1)]...)
	if i := bytes.Index(seam, m.marker[:]); i >= 0 {
		return fresh[i+len(m.marker)-before:], true
	}
	if i := bytes.Index(fresh, m.marker[:]); i >= 0 {
		return fresh[i+len(m.marker):], true
	}
	last := seam
	if len(fresh) >= len(m.marker) {
		last = fresh
	}
	m.tail = append(make([]byte, 0, 2*len(m.marker)), last[max(0, len(last)-len(m.marker)+1):]...)
	return nil, false
}

// buffer holds what has been read from the port and not handed out.
type buffer struct {
	space []byte
	data  []byte // a part of space
}

// bufferSize is some multiple of the 4 KiB a read of the port returns at most.
const bufferSize = 16 << 10

// more reads once and returns what came. What is there already must be little.
func (b *buffer) more(dev device, wait bool) (fresh []byte, err error) {
	if b.space == nil {
		b.space = make([]byte, bufferSize)
	}
	have := copy(b.space, b.data)
	n, err := dev.read(b.space[have:], wait)
	if err != nil {
		return nil, err
	}
	b.data = b.space[:have+n]
	return b.data[have:], nil
}

// take moves at most limit bytes to p.
func (b *buffer) take(p []byte, limit int) int {
	n := copy(p[:min(len(p), limit)], b.data)
	b.data = b.data[n:]
	return n
}
