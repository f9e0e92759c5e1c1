package bulk

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"vpod/pkg/agentproto"
)

// Sink is where input goes: a pipe or a terminal.
type Sink interface {
	io.WriteCloser
	SetWriteDeadline(t time.Time) error
}

// Input passes what the host sends on to a process and counts it. Nothing is held
// here: what the process does not read stays in the pipe, then in the stream's
// window, then with the host.
type Input struct {
	sink Sink
	end  func() error // tells the process that no more will come

	opening sync.Mutex // held by a stream that takes over

	mu     sync.Mutex
	taken  int64
	ended  bool   // the host has ended it
	broken bool   // nobody reads it any more
	cancel func() // interrupts the stream served now; nil when there is none
	idle   chan struct{}
}

// NewInput returns an Input into sink, which it owns. end is called once when the
// host has ended its input; nil closes sink.
func NewInput(sink Sink, end func() error) *Input {
	if end == nil {
		end = sink.Close
	}
	return &Input{sink: sink, end: end}
}

// Open claims the input for s, interrupting a stream served until now, and
// returns the count of bytes taken. Serve must follow.
func (in *Input) Open(s Stream) (offset int64) {
	in.opening.Lock()
	defer in.opening.Unlock()
	for {
		in.mu.Lock()
		if in.cancel == nil {
			break
		}
		in.cancel()
		idle := in.idle
		in.mu.Unlock()
		<-idle
	}
	defer in.mu.Unlock()
	in.idle = make(chan struct{})
	in.cancel = func() {
		past := time.Unix(1, 0)
		_ = s.SetReadDeadline(past)
		_ = in.sink.SetWriteDeadline(past)
	}
	_ = in.sink.SetWriteDeadline(time.Time{})
	return in.taken
}

// Serve passes on what comes from s until the host ends it, it breaks, another
// stream takes over or nobody reads any more; the rest is then thrown away. It
// closes s.
func (in *Input) Serve(s Stream) {
	in.pass(s)
	in.mu.Lock()
	in.cancel = nil
	close(in.idle)
	drain := in.broken || in.ended
	in.mu.Unlock()
	_ = s.Close() // tells the host that no more is wanted
	if drain {
		_, _ = io.Copy(io.Discard, s)
	}
}

func (in *Input) pass(s Stream) {
	buf := make([]byte, chunk)
	var acked int64
	for {
		in.mu.Lock()
		over, taken := in.ended || in.broken, in.taken
		in.mu.Unlock()
		if over {
			return
		}
		n, err := s.Read(buf)
		if s.Broken() {
			// These may be from a frame that was cut short, and something else's
			// bytes at its end. The host repeats them.
			return
		}
		if n > 0 {
			wrote, werr := in.sink.Write(buf[:n])
			taken += int64(wrote)
			in.count(taken, werr)
			// A short read means that the host has paused.
			if taken-acked >= agentproto.AckEvery || n < len(buf) || werr != nil {
				acked = taken
				if ack(s, taken) != nil {
					return
				}
			}
			if werr != nil {
				return
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) && !s.Broken() {
				in.finish()
			}
			return
		}
	}
}

// count notes how much the process has been given. An error other than an
// interruption means that it takes no more.
func (in *Input) count(taken int64, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.taken = taken
	if err != nil && !isTimeout(err) {
		in.broken = true
	}
}

// finish passes the end on.
func (in *Input) finish() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.ended {
		in.ended = true
		_ = in.end()
	}
}

// Close ends the input; a stream served now is interrupted.
func (in *Input) Close() {
	in.mu.Lock()
	in.broken = true
	if in.cancel != nil {
		in.cancel()
	}
	in.mu.Unlock()
	_ = in.sink.Close()
}

func ack(w io.Writer, n int64) error {
	var b [ackSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	_, err := w.Write(b[:])
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
