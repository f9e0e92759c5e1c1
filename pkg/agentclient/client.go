package agentclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"vpod/pkg/agentproto"
)

// maxErrorText is the most of an agent's error message that is kept, in bytes.
const maxErrorText = 512

// ErrUnavailable is the code with which a monitor answers, in the agent's place,
// while there is no agent: between the restarts of a machine.
const ErrUnavailable agentproto.ErrorCode = "unavailable"

// Client makes the calls of agentproto. The zero value is of no use; see New.
//
// Each call takes the id of the container it concerns and ends with its context.
// Errors are *agentproto.Error when the agent refuses (its text is printable),
// wrap ErrProtocol or ErrClosed when there is no talking to it, or are the context's.
type Client struct{ opener Opener }

// New returns a client that opens its streams with o.
func New(o Opener) *Client { return &Client{opener: o} }

// Start starts a process, and with it its container or machine when req says so.
// It returns when the command has been executed.
func (c *Client) Start(ctx context.Context, container, process string, req agentproto.StartRequest) (agentproto.StartReply, error) {
	var reply agentproto.StartReply
	err := c.call(ctx, agentproto.Request{Op: agentproto.OpStart, Container: container, Process: process}, req, &reply)
	reply.Laps = plausibleLaps(reply.Laps)
	return reply, err
}

// Bounds of what a guest says of its own time.
const (
	maxLaps    = 32
	maxLapText = 60 // in bytes
)

// plausibleLaps bounds what a guest says of its own time, and makes it printable.
// Whether the durations are true is for the caller to judge.
func plausibleLaps(laps []agentproto.Lap) []agentproto.Lap {
	laps = laps[:min(len(laps), maxLaps)]
	for i := range laps {
		laps[i].What = Printable(laps[i].What, maxLapText)
	}
	return laps
}

// Wait returns how a process ended, once it has. Codes and signals are brought
// into the range a process can have; the time is the guest's word.
func (c *Client) Wait(ctx context.Context, container, process string) (agentproto.ExitStatus, error) {
	var st agentproto.ExitStatus
	if err := c.call(ctx, agentproto.Request{Op: agentproto.OpWait, Container: container, Process: process}, nil, &st); err != nil {
		return agentproto.ExitStatus{}, err
	}
	return plausible(st), nil
}

// plausible bounds what a guest says of an ended process.
func plausible(st agentproto.ExitStatus) agentproto.ExitStatus {
	if st.Signal < 0 || st.Signal > 64 {
		st.Signal = 0
	}
	st.Code &= 0xff
	if st.Signal != 0 {
		st.Code = 128 + st.Signal
	}
	return st
}

// Signal sends a signal to a process, or with All to its whole container.
func (c *Client) Signal(ctx context.Context, container, process string, req agentproto.SignalRequest) error {
	return c.call(ctx, agentproto.Request{Op: agentproto.OpSignal, Container: container, Process: process}, req, nil)
}

// Resize sets the size of a process's terminal.
func (c *Client) Resize(ctx context.Context, container, process string, req agentproto.ResizeRequest) error {
	return c.call(ctx, agentproto.Request{Op: agentproto.OpResize, Container: container, Process: process}, req, nil)
}

// List returns the processes of a container. Ids in it are the guest's word.
func (c *Client) List(ctx context.Context, container string) (agentproto.ListReply, error) {
	var reply agentproto.ListReply
	err := c.call(ctx, agentproto.Request{Op: agentproto.OpList, Container: container}, nil, &reply)
	for i := range reply.Processes {
		p := &reply.Processes[i]
		p.ID = Printable(p.ID, 128)
		if p.Exit != nil {
			st := plausible(*p.Exit)
			p.Exit = &st
		}
	}
	return reply, err
}

// Forget drops a finished process and its kept output.
func (c *Client) Forget(ctx context.Context, container, process string) error {
	return c.call(ctx, agentproto.Request{Op: agentproto.OpForget, Container: container, Process: process}, nil, nil)
}

// Shutdown prepares the machine to be switched off.
func (c *Client) Shutdown(ctx context.Context, req agentproto.ShutdownRequest) error {
	return c.call(ctx, agentproto.Request{Op: agentproto.OpShutdown}, req, nil)
}

// call makes one control call. body and reply may be nil.
func (c *Client) call(ctx context.Context, req agentproto.Request, body, reply any) error {
	st, raw, err := c.open(ctx, req, body)
	if err != nil {
		return err
	}
	st.Close()
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(raw, reply); err != nil {
		return fmt.Errorf("%s: %w: its reply does not parse", req.Op, ErrProtocol)
	}
	return nil
}

// open opens a stream, sends the request and reads the reply; the caller closes
// the stream. It returns when ctx ends, even when the channel takes no more
// bytes: the exchange then dies in the background, at the session's end at the latest.
func (c *Client) open(ctx context.Context, req agentproto.Request, body any) (Stream, json.RawMessage, error) {
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: encode request: %w", req.Op, err)
		}
		req.Body = b
	}
	st, err := c.opener.OpenStream(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", req.Op, err)
	}
	type answer struct {
		reply agentproto.Reply
		err   error
	}
	ch := make(chan answer, 1)
	go func() {
		var a answer
		a.reply, a.err = exchange(st, req)
		ch <- a
	}()
	select {
	case a := <-ch:
		switch {
		case a.err != nil:
			err = fmt.Errorf("%s: %w", req.Op, a.err)
		case a.reply.Error != nil:
			err = &agentproto.Error{
				Code:    agentproto.ErrorCode(Printable(string(a.reply.Error.Code), 32)),
				Message: Printable(a.reply.Error.Message, maxErrorText),
			}
		default:
			return st, a.reply.Body, nil
		}
	case <-ctx.Done():
		err = fmt.Errorf("%s: no answer from the agent: %w", req.Op, context.Cause(ctx))
	}
	st.Close()
	return nil, nil, err
}

// exchange sends a request and reads its reply.
func exchange(st Stream, req agentproto.Request) (agentproto.Reply, error) {
	var reply agentproto.Reply
	writeErr := agentproto.WriteFrame(st, req)
	// A monitor without an agent answers and closes without reading: look for
	// that answer even when the request could not be sent.
	err := agentproto.ReadFrame(st, agentproto.MaxReply, &reply)
	switch {
	case err == nil:
		return reply, nil
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrClosed):
		return reply, err
	case writeErr != nil:
		return reply, fmt.Errorf("send request: %w", closedAs(writeErr))
	case errors.Is(err, agentproto.ErrTooLong):
		return reply, fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.Is(err, io.EOF):
		return reply, fmt.Errorf("read reply: %w", ErrClosed)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return reply, fmt.Errorf("%w: half a reply", ErrProtocol)
	case isSyntax(err):
		return reply, fmt.Errorf("%w: its reply does not parse", ErrProtocol)
	}
	return reply, fmt.Errorf("read reply: %w", closedAs(err))
}

// closedAs turns the end of a connection into ErrClosed.
func closedAs(err error) error {
	if isClosed(err) {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return err
}

// isSyntax reports whether err is about JSON. Its text quotes the guest, so it
// is not kept.
func isSyntax(err error) bool {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	return errors.As(err, &syntax) || errors.As(err, &kind)
}

// clock reads the guest's clock, or has it brought back.
func (c *Client) clock(ctx context.Context, req agentproto.ClockRequest) (agentproto.ClockReply, error) {
	var reply agentproto.ClockReply
	err := c.call(ctx, agentproto.Request{Op: agentproto.OpClock}, req, &reply)
	return reply, err
}
