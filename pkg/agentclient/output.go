package agentclient

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"vpod/pkg/agentproto"
)

// ackPause is how long a source must be silent before what it sent last is
// acknowledged although it is less than AckEvery.
const ackPause = 10 * time.Millisecond

// Output reads standard output or error of a process. One goroutine reads and
// acknowledges; Close may come from another.
type Output struct {
	stream Stream
	offset int64 // of the next byte to read
	acked  int64
	owed   bool // something was taken charge of and is not acknowledged
}

// Output opens descriptor fd (1 or 2) of a process from offset, the count of
// bytes taken charge of before. The caller closes it.
func (c *Client) Output(ctx context.Context, container, process string, fd int, offset int64) (*Output, error) {
	req := agentproto.Request{Op: agentproto.OpOutput, Container: container, Process: process}
	st, err := c.bulk(ctx, req, agentproto.BulkRequest{FD: fd, Offset: offset}, func(got int64) bool { return got == offset })
	if err != nil {
		return nil, err
	}
	return &Output{stream: st, offset: offset, acked: offset}, nil
}

// bulk opens a bulk stream and has its offset checked.
func (c *Client) bulk(ctx context.Context, req agentproto.Request, body agentproto.BulkRequest, valid func(offset int64) bool) (Stream, error) {
	st, raw, err := c.open(ctx, req, body)
	if err != nil {
		return nil, err
	}
	var reply agentproto.BulkReply
	if err := json.Unmarshal(raw, &reply); err != nil {
		st.Close()
		return nil, fmt.Errorf("%s: %w: its reply does not parse", req.Op, ErrProtocol)
	}
	if !valid(reply.Offset) {
		st.Close()
		return nil, fmt.Errorf("%s: %w: it goes on from byte %d, asked was %d", req.Op, ErrProtocol, reply.Offset, body.Offset)
	}
	return st, nil
}

// Read reads what the process has written. io.EOF is the end of its output; the
// end of the channel is ErrClosed or ErrProtocol.
//
// What earlier reads returned and Ack was called for is acknowledged here once
// the source pauses.
func (o *Output) Read(p []byte) (int, error) {
	if o.owed {
		o.stream.SetReadDeadline(time.Now().Add(ackPause))
		n, err := o.stream.Read(p)
		o.stream.SetReadDeadline(time.Time{})
		if n > 0 || !isTimeout(err) {
			o.offset += int64(n)
			return n, o.ended(err)
		}
		if err := o.flush(); err != nil {
			return 0, err
		}
	}
	n, err := o.stream.Read(p)
	o.offset += int64(n)
	return n, o.ended(err)
}

// ended gives the end of a read its meaning.
func (o *Output) ended(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("read output: %w", closedAs(err))
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// Ack says that the caller has taken charge of everything read so far. It is
// sent now, or with a later Read; see agentproto.AckEvery.
func (o *Output) Ack() error {
	o.owed = o.offset > o.acked
	if o.offset-o.acked >= agentproto.AckEvery {
		return o.flush()
	}
	return nil
}

func (o *Output) flush() error {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(o.offset))
	if _, err := o.stream.Write(b[:]); err != nil {
		return fmt.Errorf("acknowledge output: %w", closedAs(err))
	}
	o.acked, o.owed = o.offset, false
	return nil
}

// Offset is the count of bytes read, those before the first one included.
func (o *Output) Offset() int64 { return o.offset }

// Close lets go of the stream; a blocked Read returns. What was not acknowledged
// comes again when the output is opened once more.
func (o *Output) Close() error { return o.stream.Close() }

// Finish acknowledges what is owed and closes; for after io.EOF.
func (o *Output) Finish() error {
	var err error
	if o.owed {
		err = o.flush()
	}
	o.stream.CloseWrite()
	o.stream.Close()
	return err
}
