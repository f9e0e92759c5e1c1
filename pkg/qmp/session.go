package qmp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	goqmp "github.com/digitalocean/go-qemu/qmp"
)

// Options of a Monitor. The zero value is the default.
type Options struct {
	// Timeout bounds every command whose context has no deadline; 0 means 30 s. It must outlast a host so loaded
	// that QEMU's main loop is starved, and still end a wait for a QEMU that was stopped by a signal.
	Timeout time.Duration
	// EventBuffer is how many events a Watch holds before it drops the oldest; 0 means 256.
	EventBuffer int
	// Log gets what the protocol allows us to ignore (late replies, unknown ids) at debug level; nil means nowhere.
	Log *slog.Logger
}

// Monitor is a QMP session. All methods may be called from several goroutines.
type Monitor struct {
	conn *net.UnixConn
	opts Options

	// writing is held while a command is written, so that commands do not mix. A channel, since waiting for it
	// must end with the context.
	writing chan struct{}

	greeted   chan struct{} // closed by the reader at the greeting
	version   goqmp.Version // written before greeted is closed
	watchers  watchers
	handshake sync.Once

	mu      sync.Mutex
	pending map[uint64]chan *message // each with room for its one reply
	lastID  uint64
	err     error         // why done was closed
	done    chan struct{} // closed at the end of the session
}

var _ goqmp.Monitor = (*Monitor)(nil)

// New takes ownership of conn, one end of a socket pair whose other end QEMU inherited, and starts to read from it.
// Disconnect, or the end of QEMU, closes it.
func New(conn *net.UnixConn, opts Options) *Monitor {
	m := newMonitor(conn, opts)
	go m.read()
	return m
}

// newMonitor returns a Monitor that does not read yet.
func newMonitor(conn *net.UnixConn, opts Options) *Monitor {
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.EventBuffer <= 0 {
		opts.EventBuffer = 256
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Monitor{
		conn:    conn,
		opts:    opts,
		writing: make(chan struct{}, 1),
		greeted: make(chan struct{}),
		pending: map[uint64]chan *message{},
		done:    make(chan struct{}),
	}
}

// Handshake waits for QEMU's greeting and leaves capability negotiation; no command works before it. It may be
// called while QEMU is still starting. The version is the one QEMU greeted with.
func (m *Monitor) Handshake(ctx context.Context) (goqmp.Version, error) {
	ctx, cancel := m.bounded(ctx)
	defer cancel()
	select {
	case <-m.greeted:
	case <-m.done:
		// Both may be ready: a greeting with a goodbye behind it is still a goodbye.
		return goqmp.Version{}, fmt.Errorf("QMP greeting: %w", m.Err())
	case <-ctx.Done():
		return goqmp.Version{}, fmt.Errorf("QMP greeting: %w", context.Cause(ctx))
	}
	// Out-of-band execution is not asked for: without it QEMU takes one command at a time, which is what keeps
	// the descriptors of one command from replacing those of the one before.
	if err := m.Execute(ctx, "qmp_capabilities", nil, nil); err != nil {
		return goqmp.Version{}, err
	}
	return m.version, nil
}

// Connect implements go-qemu's Monitor: Handshake under Options.Timeout.
func (m *Monitor) Connect() error {
	_, err := m.Handshake(context.Background())
	return err
}

// Disconnect ends the session from our side; QEMU goes on. A second call does nothing.
func (m *Monitor) Disconnect() error {
	m.finish(ErrClosed)
	return nil
}

// Done is closed when the session is over, most often because QEMU is gone. Err then says why.
func (m *Monitor) Done() <-chan struct{} { return m.done }

// Err returns nil while the session lives and its final error afterwards: it wraps ErrGone, ErrClosed or
// ErrProtocol.
func (m *Monitor) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Execute runs one command. args is marshalled as the command's arguments (nil: none), the result is unmarshalled
// into result (nil: ignored). files are passed with the command and stay the caller's; QEMU's getfd and add-fd take
// the first one only. Errors: *Error when QEMU refuses, the context's when no reply came in time (the command may
// still take effect), or one wrapping ErrGone, ErrClosed or ErrProtocol.
func (m *Monitor) Execute(ctx context.Context, name string, args, result any, files ...*os.File) error {
	command, err := json.Marshal(goqmp.Command{Execute: name, Args: args})
	if err != nil {
		return fmt.Errorf("encode QMP %s: %w", name, err)
	}
	reply, err := m.run(ctx, command, files)
	if err != nil {
		return err
	}
	if result == nil {
		return nil
	}
	var whole struct {
		Return json.RawMessage `json:"return"`
	}
	if err := json.Unmarshal(reply, &whole); err != nil {
		return fmt.Errorf("decode reply to QMP %s: %w", name, err)
	}
	if err := json.Unmarshal(whole.Return, result); err != nil {
		return fmt.Errorf("decode reply to QMP %s: %w", name, err)
	}
	return nil
}

// Run implements go-qemu's Monitor: command is a whole JSON command, the result the whole reply, both without ids of
// the caller's. It waits at most Options.Timeout; Bind gives it a context.
func (m *Monitor) Run(command []byte) ([]byte, error) {
	return m.run(context.Background(), command, nil)
}

// Bind returns a view of m for go-qemu's generated commands, which know no contexts and no descriptors: each command
// run through it ends with ctx and carries files.
func (m *Monitor) Bind(ctx context.Context, files ...*os.File) goqmp.Monitor {
	return bound{m, func(command []byte) ([]byte, error) { return m.run(ctx, command, files) }}
}

type bound struct {
	*Monitor
	run func([]byte) ([]byte, error)
}

func (b bound) Run(command []byte) ([]byte, error) { return b.run(command) }

// bounded adds Options.Timeout to a context without a deadline.
func (m *Monitor) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, m.opts.Timeout,
		fmt.Errorf("no answer within %s: %w", m.opts.Timeout, context.DeadlineExceeded))
}

func (m *Monitor) run(ctx context.Context, command []byte, files []*os.File) ([]byte, error) {
	ctx, cancel := m.bounded(ctx)
	defer cancel()

	reply := make(chan *message, 1)
	m.mu.Lock()
	m.lastID++
	id := m.lastID
	m.pending[id] = reply
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.pending, id)
		m.mu.Unlock()
	}()

	wire, name, err := encodeCommand(command, id)
	if err != nil {
		return nil, err
	}
	if err := m.write(ctx, wire, files); err != nil {
		return nil, fmt.Errorf("QMP %s: %w", name, err)
	}
	var msg *message
	select {
	case msg = <-reply:
	case <-ctx.Done():
		return nil, fmt.Errorf("QMP %s: %w", name, context.Cause(ctx))
	case <-m.done:
		// The reply may have come with the end right behind it, as after "quit".
		select {
		case msg = <-reply:
		default:
			return nil, fmt.Errorf("QMP %s: %w", name, m.Err())
		}
	}
	if msg.Error != nil {
		return nil, &Error{Command: name, Class: msg.Error.Class, Desc: msg.Error.Desc}
	}
	return msg.raw, nil
}

// write sends one command before ctx ends. Half a command written ends the session.
func (m *Monitor) write(ctx context.Context, wire []byte, files []*os.File) error {
	select {
	case m.writing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-m.done:
		return m.Err()
	}
	defer func() { <-m.writing }()
	if err := context.Cause(ctx); err != nil {
		return err
	}

	// QEMU stops reading while it works, so a write can block: the context interrupts it through the deadline.
	if err := m.conn.SetWriteDeadline(time.Time{}); err != nil {
		return m.writeError(err)
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = m.conn.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	sent, err := send(m.conn, wire, files)
	if !stop() {
		<-interrupted // so that it cannot hit the next command's write
	}
	if err == nil {
		return nil
	}
	if sent > 0 {
		m.finish(fmt.Errorf("%w: a command was cut off after %d of %d bytes", ErrClosed, sent, len(wire)))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return m.writeError(err)
}

// writeError gives a failed write the meaning it has for callers. The reader sees the end of QEMU as well, and what
// it says is the better reason, but it may not have noticed yet.
func (m *Monitor) writeError(err error) error {
	if ended := m.Err(); ended != nil {
		return ended
	}
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

// read is the session's only reader; it ends with the connection.
func (m *Monitor) read() {
	r := newReader(m.conn, MaxMessageBytes)
	for {
		msg, err := r.next()
		switch {
		case err == nil:
			m.dispatch(msg)
		case errors.Is(err, ErrProtocol):
			m.finish(err)
			return
		case errors.Is(err, io.EOF):
			m.finish(ErrGone)
			return
		default: // half a message, a reset connection, or our own Close, which has set its reason already
			m.finish(fmt.Errorf("%w: %w", ErrGone, err))
			return
		}
	}
}

// dispatch hands a message to whoever waits for it, and never blocks.
func (m *Monitor) dispatch(msg *message) {
	switch {
	case msg.Event != "" && len(msg.raw) > maxEventBytes:
		m.opts.Log.Warn("QMP event dropped: too long", "event", clip([]byte(msg.Event)), "bytes", len(msg.raw))
	case msg.Event != "":
		m.watchers.publish(decodeEvent(msg))
	case msg.Greeting != nil:
		m.handshake.Do(func() {
			m.version = msg.Greeting.Version
			close(m.greeted)
		})
	case len(msg.ID) > 0:
		id, err := strconv.ParseUint(string(msg.ID), 10, 64)
		m.mu.Lock()
		reply := m.pending[id]
		delete(m.pending, id)
		m.mu.Unlock()
		if err != nil || reply == nil {
			m.opts.Log.Debug("QMP reply nobody waits for", "id", clip(msg.ID))
			return
		}
		reply <- msg
	case msg.Error != nil:
		// QEMU answers without an id when it could not parse a command. Whoever sent it times out.
		m.opts.Log.Warn("QMP error without id", "class", msg.Error.Class, "desc", msg.Error.Desc)
	default:
		m.opts.Log.Debug("QMP message of unknown kind", "message", clip(msg.raw))
	}
}

// finish ends the session once; later reasons are dropped.
func (m *Monitor) finish(reason error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return
	}
	m.err = reason
	_ = m.conn.Close() // nothing can be lost: what was written is QEMU's, what was not has failed
	m.watchers.close()
	close(m.done)
}

// clip shortens what QEMU sent for the log.
func clip(b []byte) string {
	const limit = 200
	if len(b) > limit {
		return string(b[:limit]) + "…"
	}
	return string(b)
}
