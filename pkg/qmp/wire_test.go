package qmp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	tests := []struct {
		name, stream string
		messages     int
		want         error
	}{
		{"nothing", "", 0, io.EOF},
		{"one", `{"event": "STOP"}` + "\r\n", 1, io.EOF},
		{"line feed alone", "{}\n{}\n", 2, io.EOF},
		{"blank lines", "\r\n\r\n{}\r\n \r\n", 1, io.EOF},
		{"blank tail", "{}\n  ", 1, io.EOF},
		{"no end", `{"event": "STOP"}`, 0, io.ErrUnexpectedEOF},
		{"half", `{}` + "\n" + `{"ev`, 1, io.ErrUnexpectedEOF},
		{"not JSON", "hello\n", 0, ErrProtocol},
		{"two on a line", "{}{}\n", 0, ErrProtocol},
		{"event that is a number", `{"event": 1}` + "\n", 0, ErrProtocol},
		{"longest", `{"x": "` + strings.Repeat("a", 1000-10) + `"}` + "\n", 1, io.EOF},
		{"too long", `{"x": "` + strings.Repeat("a", 1000) + `"}` + "\n", 0, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, src := range []io.Reader{strings.NewReader(tt.stream), iotest.OneByteReader(strings.NewReader(tt.stream))} {
				r := newReader(src, 1000)
				n := 0
				_, err := r.next()
				for ; err == nil; _, err = r.next() {
					n++
				}
				if n != tt.messages || !errors.Is(err, tt.want) {
					t.Errorf("%d messages, %v; want %d, %v", n, err, tt.messages, tt.want)
				}
			}
		})
	}
}

// FuzzReader: whatever QEMU sends, reading ends with an error, messages stay bounded, and dispatching them neither
// panics nor blocks.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		greeting + "\r\n",
		`{"return": {}, "id": 1}` + "\r\n",
		`{"id": "x", "error": {"class": "GenericError", "desc": "no"}}` + "\n",
		`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}, "timestamp": {"seconds": 1, "microseconds": -1}}` + "\n",
		`{"event": "BLOCK_IO_ERROR", "data": []}` + "\n" + `{"event": ""}` + "\n{",
		"\x00\xff\n", "[[[[", `{"id": 99999999999999999999}` + "\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		const limit = 512
		m := newMonitor(nil, Options{EventBuffer: 2})
		w := m.Watch(context.Background())
		m.pending[1] = make(chan *message, 1)
		r := newReader(bytes.NewReader(stream), limit)
		for {
			msg, err := r.next()
			if err != nil {
				break
			}
			if len(msg.raw) > limit {
				t.Fatalf("message of %d bytes", len(msg.raw))
			}
			m.dispatch(msg)
		}
		m.watchers.close()
		for ev := range w.C {
			ev.goEvent()
		}
	})
}
