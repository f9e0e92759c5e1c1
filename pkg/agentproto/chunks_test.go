package agentproto

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestChunks(t *testing.T) {
	long := strings.Repeat("0123456789", 3*MaxChunk/10)
	for _, text := range []string{"", "x", long} {
		var b bytes.Buffer
		w := ChunkWriter{&b}
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("write %d bytes: %d, %v", len(text), n, err)
		}
		if err := w.End(nil); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(&ChunkReader{R: iotest.HalfReader(&b)})
		if err != nil || string(got) != text {
			t.Errorf("read %d bytes, %v; want %d", len(got), err, len(text))
		}
	}
}

func TestChunksThatEndBadly(t *testing.T) {
	var failed bytes.Buffer
	w := ChunkWriter{&failed}
	_, _ = w.Write([]byte("some"))
	_ = w.End(&Error{Code: ErrInternal, Message: "no more"})
	for _, tt := range []struct {
		name, in, got string
		check         func(error) bool
	}{
		{"nothing", "", "", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"half a length", "\x00\x00", "", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"half a chunk", "\x00\x00\x00\x09abc", "abc", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"too long", "\x00\x01\x00\x01", "", func(err error) bool { return errors.Is(err, ErrChunk) }},
		{"no last word", "\x00\x00\x00\x01a\x00\x00\x00\x00", "a", func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"failed", failed.String(), "some", func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Message == "no more"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &ChunkReader{R: strings.NewReader(tt.in)}
			got, err := io.ReadAll(r)
			if string(got) != tt.got || !tt.check(err) {
				t.Errorf("read %q, %v", got, err)
			}
			if _, again := r.Read(make([]byte, 1)); again == nil || again.Error() != err.Error() {
				t.Errorf("the next read says %v, before it was %v", again, err)
			}
		})
	}
}

// FuzzChunks reads chunks as a guest might send them: whatever comes, no more than
// came is returned.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x03abc\x00\x00\x00\x00\x00\x00\x00\x02{}"))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _ := io.ReadAll(&ChunkReader{R: bytes.NewReader(b)})
		if len(got) > len(b) {
			t.Errorf("%d bytes of %d", len(got), len(b))
		}
	})
}
