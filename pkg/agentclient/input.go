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
	base   int64  // count of bytes acknowledged
	kept   []byte // what follows base
	failed error  // of the stream; Resume clears it
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
	old, base, kept := in.stream, in.base, in.kept
	in.mu.Unlock()
	old.Close()
	var offset int64
	st, err := c.bulk(ctx, in.req, agentproto.BulkRequest{}, func(got int64) bool {
		offset = got
		return got >= base && got <= base+int64(len(kept))
	})
	if err != nil {
		return err
	}
	in.mu.Lock()
	in.client, in.stream, in.failed = c, st, nil
	in.dropTo(offset)
	repeat := append([]byte(nil), in.kept...)
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
		case n < uint64(in.base) || n > uint64(in.base)+uint64(len(in.kept)):
			err = fmt.Errorf("%w: it acknowledged byte %d of %d", ErrProtocol, n, in.base+int64(len(in.kept)))
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
	n := copy(in.kept, in.kept[offset-in.base:])
	in.kept = in.kept[:n]
	in.base = offset
	if n == 0 && cap(in.kept) > 64<<10 {
		in.kept = nil // a burst is over
	}
}

// Write sends p. It blocks while a whole window is unacknowledged, which is how
// a process that does not read holds up whoever writes, until Close. Errors:
// ErrInputEnded, ErrProtocol, ErrClosed.
func (in *Input) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		in.mu.Lock()
		for in.failed == nil && !in.closed && len(in.kept) >= agentproto.Window {
			in.cond.Wait()
		}
		if err := in.err(); err != nil {
			in.mu.Unlock()
			return total, err
		}
		n := min(len(p), agentproto.Window-len(in.kept))
		in.kept = append(in.kept, p[:n]...)
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

// CloseWrite waits until the agent has taken charge of everything written, then
// ends standard input. (A stream shut earlier could be reset by yamux's limit on
// half-closed streams before a slow process has read it.)
func (in *Input) CloseWrite(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		in.mu.Lock()
		in.cond.Broadcast()
		in.mu.Unlock()
	})
	defer stop()
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.failed == nil && !in.closed && len(in.kept) > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("end input: %w", context.Cause(ctx))
		}
		in.cond.Wait()
	}
	if err := in.err(); err != nil {
		return err
	}
	in.stream.CloseWrite()
	return nil
}

// Close lets go of the stream without ending standard input; blocked writes return.
func (in *Input) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.cond.Broadcast()
	return in.stream.Close()
}
