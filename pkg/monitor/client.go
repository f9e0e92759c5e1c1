package monitor

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"vpod/pkg/agentproto"
	"vpod/pkg/detach"
	"vpod/pkg/unixsock"
)

// How an attachment can end besides with the container.
var (
	// ErrDetached: the user typed the detach keys. The container goes on.
	ErrDetached = errors.New("detached from container")
	// ErrGone: there is no monitor, or it went away before it had answered. The
	// live lock tells what holds now.
	ErrGone = errors.New("the container's monitor is gone")
)

// RefusedError is a monitor's refusal.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// LostError reports that the monitor has dropped this client. The container goes on.
type LostError struct{ Reason string }

func (e *LostError) Error() string { return "the monitor dropped this client: " + e.Reason }

// stdinChunk is how much standard input goes into a frame, in bytes.
const stdinChunk = 32 << 10

// Streams are a client's ends of a container. Zero fields are not attached.
type Streams struct {
	Stdin          io.Reader // its end ends the container's standard input
	Stdout, Stderr io.Writer // each written from one goroutine at a time

	Resize  <-chan agentproto.ResizeRequest // sizes of the client's terminal
	Signals <-chan os.Signal                // to pass on to the container's first process

	DetachKeys []byte // typed in this order on Stdin they detach; empty never does
	Removes    bool   // the caller removes an AutoRemove container once Attach has returned its Exit

	// Attached is called once the monitor has accepted the client: nothing the
	// container prints from then on is missed.
	Attached func()
}

// Attach connects to the container's streams through the attach socket at path
// and returns how the container ended, once all it printed has been written. A
// container that is started again by its policy ends the attachment, too
// (Exit.Restarts).
//
// Errors: ErrDetached; ErrGone; *RefusedError; *LostError; a failure of Stdout
// or Stderr; ctx's, which detaches. A Read of Stdin that is under way when
// Attach returns cannot be called back: it takes one more read's worth of input.
func Attach(ctx context.Context, path, container string, s Streams) (Exit, error) {
	hello := Hello{
		Op: OpAttach, Container: container,
		Stdin: s.Stdin != nil, Stdout: s.Stdout != nil, Stderr: s.Stderr != nil, Removes: s.Removes,
	}
	main, err := dialMonitor(ctx, path, hello)
	if err != nil {
		return Exit{}, err
	}
	defer main.Close()

	// A process that does not read holds up standard input, and with it all that
	// comes behind on the same connection. Sizes and signals get one of their own.
	control := main
	if s.Stdin != nil && (s.Resize != nil || s.Signals != nil) {
		control, err = dialMonitor(ctx, path, Hello{Op: OpAttach, Container: container})
		if err != nil {
			return Exit{}, err
		}
		defer control.Close()
		go func() { _, _ = io.Copy(io.Discard, control.r) }() // its exit frame is the other's too
	}
	if s.Attached != nil {
		s.Attached()
	}

	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	stop := context.AfterFunc(ctx, func() { main.Close() })
	defer stop()
	go control.sendControl(ctx, s.Resize, s.Signals)
	if s.Stdin != nil {
		go func() {
			if main.sendStdin(s.Stdin, s.DetachKeys) {
				end(ErrDetached)
			}
		}()
	}
	exit, err := main.receive(s.Stdout, s.Stderr)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return Exit{}, cause
	}
	return exit, err
}

// StopOptions are those of Stop. The zero value uses the container's own.
type StopOptions struct {
	Signal  int            // 0 is the container's stop signal
	Timeout *time.Duration // before SIGKILL, in whole seconds; nil is the container's
}

// Stop stops the container and returns when it has ended and its exit record is
// written. No restart policy applies. Errors: ErrGone, *RefusedError, ctx's.
func Stop(ctx context.Context, path, container string, o StopOptions) error {
	hello := Hello{Op: OpStop, Container: container, Signal: o.Signal, NoRestart: true}
	if o.Timeout != nil {
		seconds := int((*o.Timeout + time.Second - 1) / time.Second)
		hello.TimeoutSeconds = &seconds
	}
	return order(ctx, path, hello)
}

// Kill sends a signal to the container's first process and returns once it is
// sent. With noRestart the restart policy does not apply when the process ends.
// Errors: ErrGone, *RefusedError, ctx's.
func Kill(ctx context.Context, path, container string, signal int, noRestart bool) error {
	return order(ctx, path, Hello{Op: OpKill, Container: container, Signal: signal, NoRestart: noRestart})
}

// Pause stops the container's machine until Unpause. Errors: ErrGone, *RefusedError,
// ctx's.
func Pause(ctx context.Context, path, container string) error {
	return order(ctx, path, Hello{Op: OpPause, Container: container})
}

// Unpause lets a paused machine go on. Errors: ErrGone, *RefusedError, ctx's.
func Unpause(ctx context.Context, path, container string) error {
	return order(ctx, path, Hello{Op: OpUnpause, Container: container})
}

// order sends an order that is answered once it is carried out.
func order(ctx context.Context, path string, hello Hello) error {
	conn, err := dialMonitor(ctx, path, hello)
	if err != nil {
		return err
	}
	return conn.Close()
}

// clientConn is a connection to a monitor's attach socket.
type clientConn struct {
	io.Closer
	r  *bufio.Reader
	mu sync.Mutex // a frame at a time
	w  io.Writer
}

// dialMonitor connects, says hello and waits for the answer.
func dialMonitor(ctx context.Context, path string, hello Hello) (*clientConn, error) {
	hello.Version = LaunchVersion
	conn, err := unixsock.Dial(ctx, path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	c := &clientConn{Closer: conn, r: bufio.NewReaderSize(conn, 64<<10), w: conn}
	err = c.greet(hello)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *clientConn) greet(hello Hello) error {
	line, err := json.Marshal(hello)
	if err != nil {
		return fmt.Errorf("encode hello: %w", err)
	}
	if _, err := c.w.Write(append(line, '\n')); err != nil {
		return ErrGone
	}
	var reply HelloReply
	if err := readLine(c.r, &reply); err != nil {
		var syntax *lineError
		if errors.As(err, &syntax) {
			return fmt.Errorf("the monitor's answer: %w", err)
		}
		return ErrGone
	}
	if reply.Error != "" {
		return &RefusedError{Reason: reply.Error}
	}
	return nil
}

func (c *clientConn) send(kind FrameKind, payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return WriteFrame(c.w, kind, payload)
}

// sendStdin passes standard input on until it ends, the connection ends, or the
// detach keys were typed, which it reports.
func (c *clientConn) sendStdin(stdin io.Reader, detachKeys []byte) (left bool) {
	keys := detach.NewMatcher(detachKeys)
	buf := make([]byte, stdinChunk)
	for {
		n, err := stdin.Read(buf)
		out, detached := keys.Filter(buf[:n])
		if err != nil && !detached {
			out = append(out, keys.Rest()...)
		}
		if len(out) > 0 && c.send(FrameStdin, out) != nil {
			return false
		}
		if detached {
			return true
		}
		if err != nil {
			// A read error is an end like any other: there is no more to come.
			_ = c.send(FrameStdinEOF, nil)
			return false
		}
	}
}

// sendControl passes on sizes and signals until ctx ends.
func (c *clientConn) sendControl(ctx context.Context, sizes <-chan agentproto.ResizeRequest, signals <-chan os.Signal) {
	for {
		var kind FrameKind
		var body any
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				sizes = nil
				continue
			}
			kind, body = FrameResize, size
		case sig, ok := <-signals:
			number, known := sig.(syscall.Signal)
			if !ok {
				signals = nil
			}
			if !known {
				continue
			}
			kind, body = FrameSignal, agentproto.SignalRequest{Signal: int(number)}
		}
		payload, err := json.Marshal(body)
		if err != nil || c.send(kind, payload) != nil {
			return
		}
	}
}

// receive writes out what comes until the exit frame.
func (c *clientConn) receive(stdout, stderr io.Writer) (Exit, error) {
	var buf []byte
	for {
		kind, payload, err := ReadFrame(c.r, buf)
		if err != nil {
			if errors.Is(err, ErrFrameTooLong) {
				return Exit{}, err
			}
			return Exit{}, ErrGone
		}
		buf = payload[:cap(payload)]
		switch kind {
		case FrameStdout:
			err = writeTo(stdout, payload)
		case FrameStderr:
			err = writeTo(stderr, payload)
		case FrameLost:
			return Exit{}, &LostError{Reason: string(payload)}
		case FrameExit:
			var exit Exit
			if err := json.Unmarshal(payload, &exit); err != nil {
				return Exit{}, fmt.Errorf("read exit frame: %w", err)
			}
			return exit, nil
		}
		if err != nil {
			return Exit{}, fmt.Errorf("write the container's output: %w", err)
		}
	}
}

func writeTo(w io.Writer, p []byte) error {
	if w == nil {
		return nil
	}
	_, err := w.Write(p)
	return err
}
