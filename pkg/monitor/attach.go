package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"vpod/pkg/agentproto"
)

const (
	maxAttached  = 256              // attached connections at once
	spareConns   = 64               // connections beyond those: a container with many clients can be stopped
	helloTimeout = 10 * time.Second // for a connection's first line
	clientChunk  = 16 << 10         // bytes handed to a client's socket at once
)

// serveAttach serves the attach socket until its listener is closed.
func (s *supervisor) serveAttach(ctx context.Context, l *net.UnixListener) {
	attached := make(chan struct{}, maxAttached)
	s.accept(l, maxAttached+spareConns, func(conn *net.UnixConn) {
		s.serveConn(ctx, conn, attached)
	}, func(conn *net.UnixConn) {
		_ = answer(conn, errTooMany)
	})
}

// errTooMany refuses a client.
var errTooMany = fmt.Errorf("%d clients are attached to this container already: end some of them", maxAttached)

// accept serves each connection in a goroutine, at most limit at once; refuse
// answers the others. It returns when the listener is closed.
func (s *supervisor) accept(l *net.UnixListener, limit int, serve, refuse func(*net.UnixConn)) {
	slots := make(chan struct{}, limit)
	for {
		conn, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Error("accept connection", "error", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors, most likely
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			refuse(conn)
			conn.Close()
			continue
		}
		s.conns.Go(func() {
			defer func() { <-slots }()
			defer conn.Close()
			serve(conn)
		})
	}
}

// answer answers a Hello.
func answer(w io.Writer, err error) error {
	reply := HelloReply{Version: LaunchVersion}
	if err != nil {
		reply.Error = err.Error()
	}
	line, err := json.Marshal(reply)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// serveConn serves one connection. attached holds one for each attached client.
func (s *supervisor) serveConn(ctx context.Context, conn *net.UnixConn, attached chan struct{}) {
	conn.SetReadDeadline(time.Now().Add(helloTimeout))
	late := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
	r := bufio.NewReaderSize(conn, 4<<10)
	var hello Hello
	err := readLine(r, &hello)
	if !late() {
		return
	}
	if err != nil {
		var bad *lineError
		if errors.As(err, &bad) {
			_ = answer(conn, fmt.Errorf("not a greeting: %w", err))
		}
		return
	}
	conn.SetReadDeadline(time.Time{})
	if err := s.checkHello(hello); err != nil {
		_ = answer(conn, err)
		return
	}
	switch hello.Op {
	case OpAttach:
		select {
		case attached <- struct{}{}:
			s.attach(ctx, conn, r, hello)
			<-attached
		default:
			_ = answer(conn, errTooMany)
		}
	case OpStop:
		s.stop(ctx, stopRequest{byUser: true, signal: hello.Signal, timeout: hello.timeout()})
		_ = answer(conn, nil) // a command that went away does not need to know
	case OpKill:
		_ = answer(conn, s.kill(ctx, hello.Signal, hello.NoRestart))
	case OpPause:
		_ = answer(conn, s.pause(ctx))
	case OpUnpause:
		_ = answer(conn, s.unpause(ctx))
	}
}

// timeout is the timeout a stop asks for; nil leaves the container's.
func (h Hello) timeout() *time.Duration {
	if h.TimeoutSeconds == nil {
		return nil
	}
	d := time.Duration(max(*h.TimeoutSeconds, 0)) * time.Second
	return &d
}

// checkHello refuses what this monitor cannot serve.
func (s *supervisor) checkHello(h Hello) error {
	switch {
	case h.Version != LaunchVersion:
		return fmt.Errorf("the container's monitor speaks version %d, this vpod version %d: stop the container with the vpod that started it, or kill process %d", LaunchVersion, h.Version, s.pid)
	case h.Container != s.c.ID:
		return fmt.Errorf("container %.64q does not run in this machine", h.Container)
	case !slices.Contains([]Op{OpAttach, OpStop, OpKill, OpPause, OpUnpause}, h.Op):
		return fmt.Errorf("unknown operation %.32q", h.Op)
	case h.Signal < 0 || h.Signal > maxSignal || h.Op == OpKill && h.Signal == 0:
		return fmt.Errorf("signal %d is not one of 1 to %d", h.Signal, maxSignal)
	}
	return nil
}

// maxSignal is the highest signal of Linux on x86.
const maxSignal = 64

// attach serves one attached client until the container has ended or the client
// has gone.
func (s *supervisor) attach(ctx context.Context, conn *net.UnixConn, r *bufio.Reader, hello Hello) {
	ctx, endInput := context.WithCancel(ctx)
	defer endInput()
	c := &client{conn: conn, hello: hello, queue: newQueue(s.launch.DataDir), endInput: endInput, closed: make(chan struct{})}
	defer close(c.closed)
	defer c.queue.abandon()
	if hello.Stdin {
		s.streams.stdin.join()
	}
	var left bool
	leave := func(ended bool) {
		if !hello.Stdin || left {
			return
		}
		left = true
		if err := s.streams.stdin.leave(ctx, ended); err != nil {
			s.log.Warn("end standard input", "error", err)
		}
	}

	// Added before it is answered: what is printed in between waits in its queue.
	if !s.streams.add(c) {
		_ = answer(conn, fmt.Errorf("container %s has ended", s.c.Name))
		leave(false)
		return
	}
	defer s.streams.remove(c)
	defer leave(false)
	if answer(conn, nil) != nil {
		return
	}
	sent := make(chan bool, 1)
	go func() { sent <- c.send(s.c.AutoRemove) }()
	err := s.receive(ctx, c, r, leave)
	// A connection closed with bytes unread ends in a reset: a plain end after
	// all has been written says that the client has read it.
	drained := c.queue.drained()
	c.queue.abandon()
	conn.Close()
	all := <-sent
	c.clean = drained && all && errors.Is(err, io.EOF)
}

// send writes what is queued to the client and reports whether all of it was. It
// returns with the connection closed, but for a client that has promised to
// remove the container: that one is waited for, so that its end shows whether it
// has read the exit frame.
func (c *client) send(autoRemove bool) bool {
	buf := make([]byte, clientChunk)
	for {
		n := c.queue.take(buf)
		if n == 0 {
			break
		}
		if _, err := c.conn.Write(buf[:n]); err != nil {
			c.queue.abandon()
			c.conn.Close()
			return false
		}
	}
	if !autoRemove || !c.hello.Removes {
		c.conn.Close()
	}
	return true
}

// receive reads a client's frames until the connection ends, and returns why.
func (s *supervisor) receive(ctx context.Context, c *client, r *bufio.Reader, leave func(ended bool)) error {
	var buf []byte
	for {
		kind, payload, err := ReadFrame(r, buf)
		if err != nil {
			return err
		}
		buf = payload[:cap(payload)]
		switch kind {
		case FrameStdin:
			if c.hello.Stdin {
				s.streams.stdin.feed(ctx, payload)
			}
		case FrameStdinEOF:
			leave(true)
		case FrameResize:
			var size agentproto.ResizeRequest
			if json.Unmarshal(payload, &size) == nil {
				s.resize(ctx, size)
			}
		case FrameSignal:
			var sig agentproto.SignalRequest
			if json.Unmarshal(payload, &sig) == nil && sig.Signal > 0 && sig.Signal <= maxSignal {
				s.forward(ctx, sig.Signal)
			}
		}
	}
}
