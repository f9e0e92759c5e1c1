package service

import (
	"bufio"
	"context"
	"errors"
	"io"
	"time"

	"vpod/guest/agent/internal/machine"
	"vpod/pkg/agentproto"
)

// stallLimit is how long the host may take nothing while it keeps a file system frozen.
const stallLimit = 30 * time.Second

// tree answers with the files of a container, for as long as the host wants them.
func (s *Server) tree(st bulkStream, req *agentproto.Request) {
	var b agentproto.TreeRequest
	if err := decode(req, &b); err != nil {
		_ = reply(st, nil, err)
		return
	}
	if b.Rootfs != nil && b.Machine != nil {
		if err := machine.Setup(b.Machine); err != nil {
			_ = reply(st, nil, setupError(err))
			return
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	out := &treeStream{ctx: ctx, st: st, frozen: b.Freeze}
	go func() { // the host says nothing any more; its end is the end
		_, _ = st.Read(make([]byte, 1))
		cancel(errors.New("the host wants no more"))
	}()
	stop := context.AfterFunc(ctx, out.hurry)
	defer stop()
	var chunks agentproto.ChunkWriter
	var buffer *bufio.Writer
	begin := func() (io.Writer, error) {
		if err := reply(st, struct{}{}, nil); err != nil {
			return nil, err
		}
		chunks = agentproto.ChunkWriter{W: out}
		buffer = bufio.NewWriterSize(chunks, agentproto.MaxChunk)
		return buffer, nil
	}
	err := s.runner.ReadTree(ctx, req.Container, &b, begin)
	if buffer == nil {
		_ = reply(st, nil, err)
		return
	}
	if err == nil {
		err = buffer.Flush()
	}
	_ = chunks.End(replied(err))
}

// hurryLimit is how long a write may wait once nobody wants the files any more, or
// they are no more.
const hurryLimit = time.Second

// treeStream bounds how long each write takes. After an error it writes nothing: what
// was sent may have been a part of a chunk.
type treeStream struct {
	ctx    context.Context //nolint:containedctx // the stream lives for one call
	st     bulkStream
	frozen bool
	err    error
}

// Write implements io.Writer.
func (t *treeStream) Write(p []byte) (n int, err error) {
	if t.err != nil {
		return 0, t.err
	}
	if t.frozen && t.ctx.Err() == nil {
		_ = t.st.SetWriteDeadline(time.Now().Add(stallLimit))
		if t.ctx.Err() != nil {
			t.hurry()
		}
	}
	n, t.err = t.st.Write(p)
	return n, t.err
}

// hurry ends a write that waits for the host.
func (t *treeStream) hurry() { _ = t.st.SetWriteDeadline(time.Now().Add(hurryLimit)) }

// replied is an error as a reply holds it.
func replied(err error) *agentproto.Error {
	if err == nil {
		return nil
	}
	var e *agentproto.Error
	if !errors.As(err, &e) {
		e = &agentproto.Error{Code: agentproto.ErrInternal, Message: err.Error()}
	}
	return &agentproto.Error{Code: e.Code, Message: oneLine(e.Message)}
}
