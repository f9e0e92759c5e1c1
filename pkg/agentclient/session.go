package agentclient

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentproto"
)

// Why a session or a stream cannot be used.
var (
	// ErrProtocol: the agent sent what agentproto does not allow. The machine is
	// not to be trusted with another word.
	ErrProtocol = errors.New("the agent broke the protocol")
	// ErrClosed: the channel is closed, most often because the machine is gone.
	ErrClosed = errors.New("the channel to the agent is closed")
)

const (
	// maxNoise is how much a guest may send before it echoes the preamble, in
	// bytes: firmware and a kernel booting know nothing of the port, so any is odd.
	maxNoise = 64 << 10
	// maxStaleEchoes is how many preambles of earlier sessions may come first.
	maxStaleEchoes = 16
	// maxStreams bounds the streams of a session that are not finished on both ends.
	maxStreams = 512
	// writeTimeout is yamux's own bound on handing a frame to the channel. A
	// machine may stand still for long (it is paused, or its host is overloaded),
	// and every call has a context of its own, so it is only a last resort.
	writeTimeout = time.Hour
)

// Stream is one conversation with the agent.
type Stream interface {
	io.ReadWriter
	// CloseWrite ends what this side sends; reading goes on.
	CloseWrite() error
	// Close lets go of the stream; blocked reads and writes return.
	Close() error
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Opener opens streams to one agent. Its methods may be called from several
// goroutines.
type Opener interface {
	OpenStream(ctx context.Context) (Stream, error)
}

// Session is the host's end of a machine's channel.
type Session struct {
	guard *guard
	mux   *yamux.Session
	hello agentproto.HelloReply
	clock Clock
	done  chan struct{}
	err   error // why; set before done is closed
}

// NewSession takes ownership of conn, the host's end of the machine's agent
// port, waits for the agent to answer and exchanges hellos. It may be called
// while the machine is still starting: ctx bounds the wait.
//
// Its error wraps ErrProtocol or ErrClosed, or is ctx's; conn is then closed.
func NewSession(ctx context.Context, conn net.Conn) (*Session, error) {
	if err := synchronise(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	s, err := multiplex(conn)
	if err != nil {
		return nil, err
	}
	s.hello, s.clock, err = s.greet(ctx)
	if err == nil && (s.hello.Version < agentproto.MinVersion || s.hello.Version > agentproto.Version) {
		err = fmt.Errorf("%w: it settled on version %d, offered were %d to %d",
			ErrProtocol, s.hello.Version, agentproto.MinVersion, agentproto.Version)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("greet the agent: %w", err)
	}
	s.hello.Kernel = Printable(s.hello.Kernel, 128)
	s.hello.Boot = plausibleLaps(s.hello.Boot)
	return s, nil
}

// greet exchanges hellos.
func (s *Session) greet(ctx context.Context) (hello agentproto.HelloReply, clock Clock, err error) {
	asked := time.Now()
	err = New(s).call(ctx, agentproto.Request{Op: agentproto.OpHello},
		agentproto.HelloRequest{MinVersion: agentproto.MinVersion, MaxVersion: agentproto.Version}, &hello)
	took := time.Since(asked)
	return hello, Clock{GuestNanos: hello.ClockNanos, Host: asked.Add(took / 2), Error: took / 2}, err
}

// Clock relates the guest's monotonic clock to the host's time. It is the guest's
// word, and good for nothing but to be told to it.
type Clock struct {
	GuestNanos int64         // what it was
	Host       time.Time     // at this time
	Error      time.Duration // at most, either way
}

// Clock is what the session's hello has told of the guest's clock; the zero value
// for a session that was continued.
func (s *Session) Clock() Clock { return s.clock }

// Time is a time, and what the guest's clock was at it; 0, with the time now, when that
// is not known.
func (c Clock) Time() (unixNano, guestNanos int64) {
	now := time.Now() // the host's clock may have been set since c was measured
	if c.GuestNanos == 0 || c.Host.IsZero() {
		return now.UnixNano(), 0
	}
	return now.UnixNano() - now.Sub(c.Host).Nanoseconds(), c.GuestNanos
}

// request is what tells the guest the time by its own clock.
func (c Clock) request() agentproto.ClockRequest {
	r := agentproto.ClockRequest{ErrorNanos: c.Error.Nanoseconds()}
	r.TimeUnixNano, r.ClockNanos = c.Time()
	return r
}

// KeepTime has the guest bring its wall clock back to the host's, which is told to
// within limit, or as well as can be. behind is the guest's word on how far its clock
// was behind; stepped, that it was set at once.
func (s *Session) KeepTime(ctx context.Context, limit time.Duration) (behind time.Duration, stepped bool, err error) {
	c := New(s)
	var best Clock
	for range clockTries {
		asked := time.Now()
		reply, err := c.clock(ctx, agentproto.ClockRequest{})
		if err != nil {
			return 0, false, fmt.Errorf("read the guest's clock: %w", err)
		}
		took := time.Since(asked)
		if best.Host.IsZero() || took/2 < best.Error {
			best = Clock{GuestNanos: reply.ClockNanos, Host: asked.Add(took / 2), Error: took / 2}
		}
		if best.Error <= limit {
			break
		}
	}
	reply, err := c.clock(ctx, best.request())
	if err != nil {
		return 0, false, fmt.Errorf("set the guest's clock: %w", err)
	}
	return time.Duration(reply.BehindNanos), reply.Stepped, nil
}

// clockTries bounds how often MeasureClock asks; the quickest answer counts.
const clockTries = 10

// MeasureClock asks for the guest's clock until it is known to within limit, or as
// well as can be.
func (s *Session) MeasureClock(ctx context.Context, limit time.Duration) (Clock, error) {
	best := s.clock
	for range clockTries {
		if !best.Host.IsZero() && best.Error <= limit {
			break
		}
		_, c, err := s.greet(ctx)
		if err != nil {
			return best, fmt.Errorf("measure the guest's clock: %w", err)
		}
		if best.Host.IsZero() || c.Error < best.Error {
			best = c
		}
	}
	return best, nil
}

// ContinueSession takes ownership of conn, the agent port of a machine that was
// saved within a session while no stream was open, and goes on with that session as
// its host did, without preamble and hello: what the agent would say, it has said
// before the machine was saved. Nothing is sent; whether the agent is there shows
// with the first stream.
func ContinueSession(conn net.Conn, hello agentproto.HelloReply) (*Session, error) {
	s, err := multiplex(conn)
	if err != nil {
		return nil, err
	}
	s.hello = hello
	return s, nil
}

// multiplex makes a session of a channel on which the agent waits for streams. It
// takes ownership of conn.
func multiplex(conn net.Conn) (*Session, error) {
	s := &Session{guard: newGuard(conn), done: make(chan struct{})}
	mux, err := yamux.Client(s.guard, &yamux.Config{
		AcceptBacklog:          maxStreams,
		EnableKeepAlive:        false, // a paused machine must not be cut off
		KeepAliveInterval:      time.Minute,
		ConnectionWriteTimeout: writeTimeout,
		MaxStreamWindowSize:    agentproto.Window,
		StreamOpenTimeout:      0, // as for keep-alive
		StreamCloseTimeout:     0, // a process may be slow to read input that has ended
		LogOutput:              io.Discard,
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("multiplex agent channel: %w", err)
	}
	s.mux = mux
	go s.watch()
	return s, nil
}

// synchronise exchanges preambles.
func synchronise(ctx context.Context, conn net.Conn) error {
	var b [8]byte
	rand.Read(b[:]) // never fails
	nonce := binary.BigEndian.Uint64(b[:])

	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	err := func() error {
		p := agentproto.Preamble(nonce)
		if _, err := conn.Write(p[:]); err != nil {
			return err
		}
		for range maxStaleEchoes {
			got, err := agentproto.ReadPreamble(conn, maxNoise)
			if err != nil || got == nonce {
				return err
			}
		}
		return errors.New("its preambles do not answer ours")
	}()
	if !stop() {
		<-interrupted
		return fmt.Errorf("wait for the agent: %w", context.Cause(ctx))
	}
	switch {
	case err == nil:
		return nil
	case isClosed(err):
		return fmt.Errorf("wait for the agent: %w", ErrClosed)
	}
	return fmt.Errorf("wait for the agent: %w: %w", ErrProtocol, err)
}

// watch waits for the session's end and keeps its reason.
func (s *Session) watch() {
	// The guard lets no stream of the agent's come, so this returns at the end only.
	_, err := s.mux.AcceptStream()
	s.mux.Close()
	cause := s.guard.cause()
	switch {
	case errors.Is(cause, ErrProtocol):
		s.err = cause
	case cause != nil:
		s.err = ErrClosed
	case err != nil && !errors.Is(err, yamux.ErrSessionShutdown) && !isClosed(err):
		s.err = fmt.Errorf("%w: %w", ErrProtocol, err)
	default:
		s.err = ErrClosed
	}
	close(s.done)
}

// isClosed reports whether err only says that a connection has ended.
func isClosed(err error) bool {
	var op *net.OpError
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// Hello is what the agent said of itself and its machine; untrusted, its text
// is printable.
func (s *Session) Hello() agentproto.HelloReply { return s.hello }

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session is over, ErrProtocol or ErrClosed, or nil while it lives.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Close ends the session and the channel. Containers in the machine go on.
func (s *Session) Close() error {
	s.guard.Conn.Close()
	<-s.done
	return nil
}

// OpenStream implements Opener.
func (s *Session) OpenStream(ctx context.Context) (Stream, error) {
	if n := s.mux.NumStreams(); n >= maxStreams {
		return nil, fmt.Errorf("open a stream to the agent: it holds on to %d streams already", n)
	}
	type opened struct {
		st  *yamux.Stream
		err error
	}
	ch := make(chan opened, 1)
	go func() {
		st, err := s.mux.OpenStream()
		ch <- opened{st, err}
	}()
	select {
	case o := <-ch:
		if o.err != nil {
			return nil, fmt.Errorf("open a stream to the agent: %w", s.reason(o.err))
		}
		return &muxStream{Stream: o.st, session: s}, nil
	case <-ctx.Done():
		go func() {
			if o := <-ch; o.err == nil {
				o.st.Close()
			}
		}()
		return nil, fmt.Errorf("open a stream to the agent: %w", context.Cause(ctx))
	}
}

// reason replaces what yamux says of a finished session by why it is finished.
func (s *Session) reason(err error) error {
	if err == nil || !s.mux.IsClosed() {
		return err
	}
	<-s.done
	return s.err
}

// muxStream is a stream of a Session.
type muxStream struct {
	*yamux.Stream
	session *Session
}

// Read tells the end of the session from the end of the stream; yamux does not.
func (st *muxStream) Read(p []byte) (int, error) {
	n, err := st.Stream.Read(p)
	if err != nil {
		err = st.session.reason(err)
	}
	return n, err
}

func (st *muxStream) Write(p []byte) (int, error) {
	n, err := st.Stream.Write(p)
	if err != nil {
		err = st.session.reason(err)
	}
	return n, err
}

// CloseWrite sends the end of the stream behind what was written. It does not
// wait: a guest that reads nothing would hold it up.
func (st *muxStream) CloseWrite() error {
	go st.Stream.Close()
	return nil
}

// Close also throws away what has come and what still will.
func (st *muxStream) Close() error {
	st.session.guard.drop(st.StreamID())
	st.Stream.SetDeadline(time.Unix(1, 0))
	go func() {
		_, _ = io.Copy(io.Discard, st.Stream) // until nothing is left: the deadline has passed
		st.Stream.Shrink()
		st.Stream.Close()
	}()
	return nil
}
