package bulk

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"vpod/pkg/agentproto"
)

// Output keeps what a process writes until the host has acknowledged it. When
// agentproto.Window bytes are held, the source is read no more and the process
// meets a full pipe.
type Output struct {
	src io.ReadCloser

	mu      sync.Mutex
	changed *sync.Cond
	ring    ring
	eof     bool
	closed  bool
	serving int // counts streams; only the newest is served
}

const (
	firstBuffer = 64 << 10
	chunk       = 64 << 10 // handed to the channel at once
)

// OffsetError reports an offset that is no longer, or not yet, kept.
type OffsetError struct{ Asked, From, To int64 }

func (e *OffsetError) Error() string {
	return fmt.Sprintf("offset %d is not kept: have %d to %d", e.Asked, e.From, e.To)
}

// NewOutput begins to read src, which it owns. An error of src is its end: a
// terminal reports EIO when its last user is gone.
func NewOutput(src io.ReadCloser) *Output {
	o := &Output{src: src, ring: ring{buf: make([]byte, firstBuffer), max: agentproto.Window}}
	o.changed = sync.NewCond(&o.mu)
	go o.pump()
	return o
}

// pump is the only one that adds to the ring, so the space it reads into stays
// its own while the lock is not held.
func (o *Output) pump() {
	for {
		o.mu.Lock()
		for o.ring.full() && !o.closed {
			o.changed.Wait()
		}
		space, closed := o.ring.space(), o.closed
		o.mu.Unlock()
		if closed {
			break
		}
		n, err := o.src.Read(space)
		o.mu.Lock()
		o.ring.commit(n)
		o.eof = err != nil
		o.changed.Broadcast()
		o.mu.Unlock()
		if err != nil {
			break
		}
	}
	_ = o.src.Close()
}

// Open claims the output for a new stream that goes on at offset: what came
// before is let go of, and a stream served until now ends. The error is an
// *OffsetError when offset is not kept. Serve must be called with the ticket.
func (o *Output) Open(offset int64) (ticket int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if offset < o.ring.base || offset > o.ring.end {
		return 0, &OffsetError{offset, o.ring.base, o.ring.end}
	}
	o.ring.drop(offset)
	o.serving++
	o.changed.Broadcast()
	return o.serving, nil
}

// Serve sends from offset on until the source has ended and all is sent, the
// stream breaks, or a newer stream was opened. It closes s.
func (o *Output) Serve(s Stream, ticket int, offset int64) {
	defer func() { _ = s.Close() }()
	acks := &acks{output: o, ticket: ticket, sent: offset}
	go acks.read(s)
	buf := make([]byte, 0, chunk)
	for {
		var ended bool
		if buf, ended = o.next(buf[:0], ticket, offset); ended {
			return
		}
		acks.sending(offset + int64(len(buf)))
		if _, err := s.Write(buf); err != nil {
			return
		}
		offset += int64(len(buf))
	}
}

// next waits for bytes at offset and copies some to buf: they may be
// acknowledged and overwritten while an older stream still writes.
func (o *Output) next(buf []byte, ticket int, offset int64) (_ []byte, ended bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for offset == o.ring.end && !o.eof && o.serving == ticket && !o.closed {
		o.changed.Wait()
	}
	if o.serving != ticket || o.closed || offset == o.ring.end {
		return buf, true
	}
	for len(buf) < cap(buf) && offset < o.ring.end {
		s := o.ring.stretch(offset)
		s = s[:min(len(s), cap(buf)-len(buf))]
		buf = append(buf, s...)
		offset += int64(len(s))
	}
	return buf, false
}

// Close ends the output: what is held is dropped, streams end.
func (o *Output) Close() {
	o.mu.Lock()
	o.closed = true
	o.changed.Broadcast()
	o.mu.Unlock()
	_ = o.src.Close()
}

// acks takes the acknowledgements of one stream.
type acks struct {
	output *Output
	ticket int

	mu   sync.Mutex
	sent int64
}

func (a *acks) sending(upTo int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = upTo
}

func (a *acks) read(r io.Reader) {
	var b [ackSize]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return
		}
		if !a.take(int64(binary.BigEndian.Uint64(b[:]))) {
			return
		}
	}
}

// take notes that the host has everything before n. It reports false when the
// host cannot have: nothing it says is then believed.
func (a *acks) take(n int64) bool {
	a.mu.Lock()
	sent := a.sent
	a.mu.Unlock()
	o := a.output
	o.mu.Lock()
	defer o.mu.Unlock()
	if n < 0 || n > sent || o.serving != a.ticket {
		return false
	}
	if n > o.ring.base {
		o.ring.drop(n)
		o.changed.Broadcast()
	}
	return true
}
