package agentclient

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"vpod/pkg/agentproto"
)

// ErrInputEnded reports that the process reads its standard input no more.
var ErrInputEnded = errors.New("standard input is closed")

// Input writes standard input of a process and keeps what the agent has not
// acknowledged, at most agentproto.Window bytes. One goroutine writes; Close may
// come from another.
type Input struct {
	client *Client
	req    agentproto.Request

	mu     sync.Mutex
	cond   sync.Cond // signalled when acks advance or the stream fails
	stream Stream
	base   int64 // count of bytes acknowledged
	kept   kept  // what follows base
	failed error // of the stream; Resume clears it
	closed bool
}

// Input opens standard input of a process. The caller closes it.
func (c *Client) Input(ctx context.Context, container, process string) (*Input, error) {
	in := &Input{
		client: c,
		req:    agentproto.Request{Op: agentproto.OpInput, Container: container, Process: process},
	}
	in.cond.L = &in.mu
	st, err := c.bulk(ctx, in.req, agentproto.BulkRequest{}, func(got int64) bool {
		in.base = got
		return got >= 0
	})
	if err != nil {
		return nil, err
	}
	in.stream = st
	go in.readAcks(st)
	return in, nil
}

// Resume opens the stream again after a failure, on a new session, and repeats
// what the agent has not taken charge of.
func (in *Input) Resume(ctx context.Context, c *Client) error {
	in.mu.Lock()
	old, base, unacked := in.stream, in.base, in.kept.len()
	in.mu.Unlock()
	old.Close()
	var offset int64
	st, err := c.bulk(ctx, in.req, agentproto.BulkRequest{}, func(got int64) bool {
		offset = got
		return got >= base && got <= base+int64(unacked)
	})
	if err != nil {
		return err
	}
	in.mu.Lock()
	in.client, in.stream, in.failed = c, st, nil
	in.dropTo(offset)
	repeat := append([]byte(nil), in.kept.bytes()...)
	in.mu.Unlock()
	go in.readAcks(st)
	if _, err := st.Write(repeat); err != nil {
		return fmt.Errorf("repeat input: %w", closedAs(err))
	}
	return nil
}

// readAcks follows the acknowledgements of one stream until it ends.
func (in *Input) readAcks(st Stream) {
	var b [8]byte
	for {
		_, err := io.ReadFull(st, b[:])
		in.mu.Lock()
		if in.stream != st {
			in.mu.Unlock()
			return
		}
		switch n := binary.BigEndian.Uint64(b[:]); {
		case errors.Is(err, io.EOF):
			// Half an acknowledgement at the end of a stream is as good as none.
			err = ErrInputEnded
		case err != nil:
			err = fmt.Errorf("read acknowledgements: %w", closedAs(err))
		case n < uint64(in.base) || n > uint64(in.base)+uint64(in.kept.len()):
			err = fmt.Errorf("%w: it acknowledged byte %d of %d", ErrProtocol, n, in.base+int64(in.kept.len()))
		default:
			in.dropTo(int64(n))
		}
		if err != nil && in.failed == nil {
			in.failed = err
		}
		in.cond.Broadcast()
		in.mu.Unlock()
		if err != nil {
			st.Close()
			return
		}
	}
}

// dropTo lets go of what comes before offset. in.mu is held.
func (in *Input) dropTo(offset int64) {
	in.kept.drop(int(offset - in.base))
	in.base = offset
}

// Write sends p. It blocks while a whole window is unacknowledged, which is how
// a process that does not read holds up whoever writes, until Close. Errors:
// ErrInputEnded, ErrProtocol, ErrClosed.
func (in *Input) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		in.mu.Lock()
		for in.failed == nil && !in.closed && in.kept.len() >= agentproto.Window {
			in.cond.Wait()
		}
		if err := in.err(); err != nil {
			in.mu.Unlock()
			return total, err
		}
		n := min(len(p), agentproto.Window-in.kept.len())
		in.kept.add(p[:n])
		st := in.stream
		in.mu.Unlock()

		if _, err := st.Write(p[:n]); err != nil {
			in.mu.Lock()
			defer in.mu.Unlock()
			if in.failed == nil {
				in.failed = fmt.Errorf("write input: %w", closedAs(err))
			}
			return total, in.failed
		}
		total += n
		p = p[n:]
	}
	return total, nil
}

// err returns why nothing can be written. in.mu is held.
func (in *Input) err() error {
	if in.failed != nil {
		return in.failed
	}
	if in.closed {
		return io.ErrClosedPipe
	}
	return nil
}

// CloseWrite ends standard input behind what was written.
func (in *Input) CloseWrite() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.err(); err != nil {
		return err
	}
	return in.stream.CloseWrite()
}

// Close lets go of the stream without ending standard input; blocked writes return.
func (in *Input) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.cond.Broadcast()
	return in.stream.Close()
}

// kept is a FIFO of bytes.
type kept struct {
	buf  []byte
	head int // first byte of buf that counts
}

func (k *kept) len() int      { return len(k.buf) - k.head }
func (k *kept) bytes() []byte { return k.buf[k.head:] }

func (k *kept) add(p []byte) {
	// Moved only when most of it is free: each byte once, on average.
	if len(k.buf)+len(p) > cap(k.buf) && k.head > len(k.buf)/2 {
		k.buf = k.buf[:copy(k.buf, k.buf[k.head:])]
		k.head = 0
	}
	k.buf = append(k.buf, p...)
}

func (k *kept) drop(n int) {
	k.head += n
	if k.head == len(k.buf) {
		k.buf, k.head = k.buf[:0], 0
		if cap(k.buf) > 64<<10 {
			k.buf = nil // a burst is over
		}
	}
}
