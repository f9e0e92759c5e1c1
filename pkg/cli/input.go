package cli

import (
	"context"
	"io"
)

// input is standard input for what reads it in place of a container: an answer, a
// password, an archive. Reading ends with the command's context; a read from a terminal
// or an idle pipe would not.
func (app *App) input(ctx context.Context) io.Reader {
	return &endingReader{ctx: ctx, from: app.Stdin}
}

// endingReader is a reader whose reads end with a context, whose cause is their error. The
// one that is under way then goes on in vain.
type endingReader struct {
	ctx  context.Context
	from io.Reader
	buf  []byte // of reads; the caller's is not touched when they have ended
}

func (r *endingReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(r.buf) < len(p) {
		r.buf = make([]byte, len(p))
	}
	type result struct {
		n   int
		err error
	}
	buf, done := r.buf[:len(p)], make(chan result, 1)
	go func() {
		n, err := r.from.Read(buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return copy(p, buf[:got.n]), got.err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}
