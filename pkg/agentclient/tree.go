package agentclient

import (
	"context"
	"errors"
	"fmt"
	"io"

	"vpod/pkg/agentproto"
)

// Tree reads files of a container, as agentproto.TreeRequest says. One goroutine
// reads; Close may come from another. What it reads is the guest's to choose.
type Tree struct {
	ctx    context.Context //nolint:containedctx // of the call that opened it
	stream Stream
	chunks agentproto.ChunkReader
	stop   func() bool
}

// Tree asks for files of a container. When ctx ends, so does reading them. The caller
// closes it; that before its end calls the rest off.
func (c *Client) Tree(ctx context.Context, container string, req agentproto.TreeRequest) (*Tree, error) {
	st, _, err := c.open(ctx, agentproto.Request{Op: agentproto.OpTree, Container: container}, req)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { st.Close() })
	return &Tree{ctx: ctx, stream: st, chunks: agentproto.ChunkReader{R: st}, stop: stop}, nil
}

// Read implements io.Reader. io.EOF says that everything was read; the agent's reason
// why it was not is an *agentproto.Error, and what else may end it is ErrClosed,
// ErrProtocol or the context's.
func (t *Tree) Read(p []byte) (int, error) {
	n, err := t.chunks.Read(p)
	var refused *agentproto.Error
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return n, err
	case errors.As(err, &refused):
		return n, &agentproto.Error{
			Code:    agentproto.ErrorCode(Printable(string(refused.Code), 32)),
			Message: Printable(refused.Message, maxErrorText),
		}
	case t.ctx.Err() != nil:
		return n, context.Cause(t.ctx)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("read files: %w", ErrClosed)
	case errors.Is(err, agentproto.ErrChunk), errors.Is(err, agentproto.ErrTooLong), isSyntax(err):
		return n, fmt.Errorf("read files: %w", ErrProtocol)
	}
	return n, fmt.Errorf("read files: %w", closedAs(err))
}

// Close lets go of the stream; a blocked Read returns.
func (t *Tree) Close() error {
	t.stop()
	return t.stream.Close()
}
