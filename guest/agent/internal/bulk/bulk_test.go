package bulk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentproto"
)

// link is a session between a host and an agent that a test can break.
type link struct {
	host, agent *yamux.Session
}

// stream is the agent's end of a stream.
type stream struct{ *yamux.Stream }

func (s stream) Broken() bool { return s.Session().IsClosed() }

func newLink(t *testing.T) *link {
	t.Helper()
	a, b := net.Pipe()
	c := yamux.DefaultConfig()
	c.EnableKeepAlive, c.LogOutput, c.MaxStreamWindowSize = false, io.Discard, 256<<10
	host, err := yamux.Client(a, c)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := yamux.Server(b, c)
	if err != nil {
		t.Fatal(err)
	}
	l := &link{host, agent}
	t.Cleanup(l.cut)
	return l
}

func (l *link) cut() {
	_ = l.host.Close()
	_ = l.agent.Close()
}

// open returns both ends of a new stream.
func (l *link) open(t *testing.T) (host *yamux.Stream, agent stream) {
	t.Helper()
	h, err := l.host.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.agent.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	return h, stream{a}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	r := rand.NewPCG(1, 2)
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b
}

// TestOutputSurvivesBrokenSessions reads an output through sessions that break at
// random, acknowledging at random, and wants every byte once.
func TestOutputSurvivesBrokenSessions(t *testing.T) {
	want := pattern(3<<20 + 123)
	r, w := io.Pipe()
	o := NewOutput(r)
	defer o.Close()
	go func() {
		for b := want; len(b) > 0; {
			n := min(len(b), 1+rand.IntN(100_000))
			_, _ = w.Write(b[:n])
			b = b[n:]
		}
		_ = w.Close()
	}()

	var got []byte
	for sessions := 0; ; sessions++ {
		l := newLink(t)
		h, a := l.open(t)
		ticket, err := o.Open(int64(len(got)))
		if err != nil {
			t.Fatalf("session %d: Open(%d) = %v", sessions, len(got), err)
		}
		go o.Serve(a, ticket, int64(len(got)))
		breakAt := len(got) + rand.IntN(400_000)
		buf := make([]byte, 50_000)
		for len(got) < breakAt || len(got) == len(want) {
			n, err := h.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes came of %d, or they differ", len(got), len(want))
				}
				if sessions < 3 {
					t.Errorf("only %d sessions broke", sessions)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if rand.IntN(3) > 0 {
				if err := ack(h, int64(len(got))); err != nil {
					t.Fatal(err)
				}
			}
		}
		l.cut()
	}
}

func TestOutputStopsAtTheWindow(t *testing.T) {
	r, w := io.Pipe()
	o := NewOutput(r)
	defer o.Close()
	var written atomic.Int64
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := w.Write(b)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	}()
	settled := func() int64 {
		for last := int64(-1); ; {
			time.Sleep(50 * time.Millisecond)
			now := written.Load()
			if now == last && now > 0 {
				return now
			}
			last = now
		}
	}
	if got := settled(); got != agentproto.Window {
		t.Errorf("%d bytes were read with nobody listening, want the window, %d", got, agentproto.Window)
	}
	if _, err := o.Open(1000); err != nil { // the host has 1000 bytes
		t.Fatal(err)
	}
	if got := settled(); got < agentproto.Window || got > agentproto.Window+1000 {
		t.Errorf("%d bytes were read after 1000 were acknowledged", got)
	}
}

func TestOutputOffsets(t *testing.T) {
	r, w := io.Pipe()
	o := NewOutput(r)
	defer o.Close()
	_, _ = w.Write([]byte("0123456789"))
	_, _ = w.Write(nil)
	for o.ringEnd() < 10 {
		time.Sleep(time.Millisecond)
	}
	if _, err := o.Open(4); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		offset int64
		ok     bool
	}{
		{"let go of", 3, false},
		{"not yet written", 11, false},
		{"negative", -1, false},
		{"the first kept", 4, true},
		{"the end", 10, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := o.Open(tt.offset)
			var oe *OffsetError
			if (err == nil) != tt.ok || (!tt.ok && !errors.As(err, &oe)) {
				t.Errorf("Open(%d) = %v", tt.offset, err)
			}
		})
	}
}

func (o *Output) ringEnd() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ring.end
}

func TestOutputBelievesNoImpossibleAck(t *testing.T) {
	r, w := io.Pipe()
	o := NewOutput(r)
	defer o.Close()
	l := newLink(t)
	h, a := l.open(t)
	ticket, _ := o.Open(0)
	go o.Serve(a, ticket, 0)
	_, _ = w.Write([]byte("hello"))
	if _, err := io.ReadFull(h, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_ = ack(h, 1<<40)
	_ = ack(h, 5)
	time.Sleep(20 * time.Millisecond)
	if _, err := o.Open(0); err != nil {
		t.Errorf("bytes were let go of: %v", err)
	}
}

func TestOutputNewestStreamWins(t *testing.T) {
	r, w := io.Pipe()
	o := NewOutput(r)
	defer o.Close()
	l := newLink(t)
	h1, a1 := l.open(t)
	t1, _ := o.Open(0)
	go o.Serve(a1, t1, 0)
	h2, a2 := l.open(t)
	t2, _ := o.Open(0)
	go o.Serve(a2, t2, 0)
	if _, err := h1.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the older stream goes on: %v", err)
	}
	_, _ = w.Write([]byte("new"))
	b := make([]byte, 3)
	if _, err := io.ReadFull(h2, b); err != nil || string(b) != "new" {
		t.Errorf("the newer stream got %q, %v", b, err)
	}
}

// TestInputSurvivesBrokenSessions sends an input through sessions that break at
// random, going on each time where the agent says, and wants every byte once.
func TestInputSurvivesBrokenSessions(t *testing.T) {
	want := pattern(2<<20 + 77)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	in := NewInput(w, nil)
	defer in.Close()
	result := make(chan []byte)
	go func() {
		var all []byte
		buf := make([]byte, 9_000)
		for {
			n, err := r.Read(buf)
			all = append(all, buf[:n]...)
			if err != nil {
				result <- all
				return
			}
			if rand.IntN(10) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()

	for sessions := 0; ; sessions++ {
		l := newLink(t)
		h, a := l.open(t)
		offset := in.Open(a)
		var served sync.WaitGroup
		served.Go(func() { in.Serve(a) })
		go func() { _, _ = io.Copy(io.Discard, h) }() // acknowledgements
		stop := min(int(offset)+rand.IntN(500_000), len(want))
		_, err := h.Write(want[offset:stop])
		if err == nil && stop == len(want) {
			_ = h.Close()
			served.Wait()
			break
		}
		l.cut() // what was on its way may be lost; the next offset tells
		if rand.IntN(2) == 0 {
			served.Wait()
		}
		if sessions > 1000 {
			t.Fatal("no progress")
		}
	}
	if got := <-result; !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived of %d, or they differ", len(got), len(want))
	}
}

func TestInputEnds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		act   func(l *link, h *yamux.Stream)
		ended bool
	}{
		{"the host ends it", func(_ *link, h *yamux.Stream) { _ = h.Close() }, true},
		{"the session breaks", func(l *link, _ *yamux.Stream) { l.cut() }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			ended := false
			in := NewInput(w, func() error { ended = true; return nil })
			defer in.Close()
			l := newLink(t)
			h, a := l.open(t)
			in.Open(a)
			go tt.act(l, h)
			in.Serve(a)
			if ended != tt.ended {
				t.Errorf("end passed on: %t, want %t", ended, tt.ended)
			}
		})
	}
}

// TestInputNobodyReads wants the host to be able to send on, and to be told.
func TestInputNobodyReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	in := NewInput(w, nil)
	l := newLink(t)
	h, a := l.open(t)
	in.Open(a)
	go in.Serve(a)
	if _, err := h.Write(make([]byte, 4<<20)); err != nil {
		t.Errorf("Write of the host = %v", err)
	}
	if _, err := io.Copy(io.Discard, h); err != nil {
		t.Errorf("the agent's side did not end: %v", err)
	}
	_ = h.Close()
}
