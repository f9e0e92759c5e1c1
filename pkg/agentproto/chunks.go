package agentproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxChunk bounds the bytes of one chunk.
const MaxChunk = 64 << 10

// Bytes whose number is not known before are sent in chunks: each a four-byte
// big-endian length and that many bytes. The length 0 ends them, and one framed Reply
// follows: whether they were all. So what broke off is never taken for the whole.

// ChunkWriter sends bytes in chunks. Each Write becomes whole chunks at once, so
// writers should be buffered.
type ChunkWriter struct{ W io.Writer }

// Write implements io.Writer.
func (c ChunkWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), MaxChunk)]
		b := make([]byte, 4+len(part))
		binary.BigEndian.PutUint32(b, uint32(len(part)))
		copy(b[4:], part)
		if _, err := c.W.Write(b); err != nil {
			return written, err
		}
		written += len(part)
		p = p[len(part):]
	}
	return written, nil
}

// End says that all was sent, or why not. Nothing may follow.
func (c ChunkWriter) End(fail *Error) error {
	if _, err := c.W.Write(make([]byte, 4)); err != nil {
		return err
	}
	return WriteFrame(c.W, Reply{Error: fail})
}

// ErrChunk reports chunks that are none.
var ErrChunk = errors.New("a broken chunk")

// ChunkReader reads what a ChunkWriter sends. Its Read returns io.EOF when the sender
// said that this was all, an *Error when it said that it was not, and
// io.ErrUnexpectedEOF when it said nothing.
type ChunkReader struct {
	R    io.Reader
	left int
	end  error
}

// Read implements io.Reader.
func (c *ChunkReader) Read(p []byte) (int, error) {
	if c.end != nil || len(p) == 0 {
		return 0, c.end
	}
	if c.left == 0 {
		if c.end = c.next(); c.end != nil {
			return 0, c.end
		}
	}
	n, err := c.R.Read(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil {
		c.end = midway(err)
	}
	return n, c.end
}

// next reads the length of the next chunk, or the end.
func (c *ChunkReader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(c.R, head[:]); err != nil {
		return midway(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxChunk {
		return fmt.Errorf("%w: %d bytes announced, at most %d allowed", ErrChunk, n, MaxChunk)
	}
	if n > 0 {
		c.left = int(n)
		return nil
	}
	var last Reply
	if err := ReadFrame(c.R, MaxReply, &last); err != nil {
		return midway(err)
	}
	if last.Error != nil {
		return last.Error
	}
	return io.EOF
}

// midway makes an end before the end what it is.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
