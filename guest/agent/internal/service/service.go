// Package service answers the host: it runs sessions over the channel and turns
// each stream's request into a call of package runner.
//
// A request that is not understood, too long or out of bounds is answered with an
// error; nothing a host sends ends the agent.
package service

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/machine"
	"vpod/guest/agent/internal/runner"
	"vpod/guest/agent/internal/stopwatch"
	"vpod/pkg/agentproto"
)

// Server serves one session after another. Use New.
type Server struct {
	runner     *runner.Runner
	logf       func(format string, args ...any)
	generation atomic.Uint64
	boot       *stopwatch.Watch // until the first hello, which has bootOnce
	bootOnce   sync.Once
	slots      chan struct{} // one per stream being served
}

const (
	maxStreams  = 1024
	requestWait = 30 * time.Second // for a request to come whole
	deviceWait  = 20 * time.Second // for disks and shares that are still to be plugged in
)

// New returns a Server. boot is what the machine's start took until now; nil is not
// known.
func New(r *runner.Runner, boot *stopwatch.Watch, logf func(format string, args ...any)) *Server {
	return &Server{runner: r, boot: boot, logf: logf, slots: make(chan struct{}, maxStreams)}
}

// config returns yamux's configuration. A paused machine must not lose its
// session, so nothing in it times out: whoever holds the other end decides, and
// what breaks shows on the channel itself.
func config() *yamux.Config {
	const never = 1 << 62
	return &yamux.Config{
		AcceptBacklog:          256,
		EnableKeepAlive:        false,
		KeepAliveInterval:      never,
		ConnectionWriteTimeout: never,
		MaxStreamWindowSize:    agentproto.Window,
		StreamOpenTimeout:      never,
		StreamCloseTimeout:     0,
		LogOutput:              io.Discard,
	}
}

// Conn is a session's channel.
type Conn interface {
	io.ReadWriteCloser
	// Broken reports whether the session is known to have ended; it is true before
	// a read reports the end.
	Broken() bool
}

// Serve runs one session over conn until it breaks. Processes go on.
func (s *Server) Serve(conn Conn) error {
	session, err := yamux.Server(conn, config())
	if err != nil {
		return fmt.Errorf("begin session: %w", err)
	}
	generation := s.generation.Add(1)
	for {
		stream, err := session.AcceptStream()
		if err != nil {
			_ = session.Close()
			return nil //nolint:nilerr // the end of a session is no failure
		}
		select {
		case s.slots <- struct{}{}:
			go s.serve(bulkStream{stream, conn}, generation)
		default:
			go refuse(bulkStream{stream, conn})
		}
	}
}

func refuse(st bulkStream) {
	_ = reply(st, nil, &agentproto.Error{Code: agentproto.ErrInternal, Message: "too many requests at once"})
	_ = st.Close()
}

// bulkStream is a stream of a session, for package bulk.
type bulkStream struct {
	*yamux.Stream
	conn Conn
}

// Broken reports whether the session has ended.
func (s bulkStream) Broken() bool { return s.conn.Broken() || s.Session().IsClosed() }

// serve answers one stream.
func (s *Server) serve(st bulkStream, generation uint64) {
	defer func() {
		<-s.slots
		if p := recover(); p != nil {
			s.logf("internal error: %v\n%s", p, debug.Stack())
			_ = reply(st, nil, &agentproto.Error{Code: agentproto.ErrInternal, Message: fmt.Sprint(p)})
		}
		_ = st.Close()
	}()
	_ = st.SetReadDeadline(time.Now().Add(requestWait))
	var req agentproto.Request
	if err := agentproto.ReadFrame(st, agentproto.MaxRequest, &req); err != nil {
		if !errors.Is(err, io.EOF) {
			_ = reply(st, nil, &agentproto.Error{Code: agentproto.ErrBadRequest, Message: err.Error()})
		}
		return
	}
	_ = st.SetReadDeadline(time.Time{})
	if err := check(&req); err != nil {
		_ = reply(st, nil, err)
		return
	}
	switch req.Op {
	case agentproto.OpInput, agentproto.OpOutput:
		s.bulk(st, &req)
	case agentproto.OpTree:
		s.tree(st, &req)
	case agentproto.OpAccept:
		s.accept(st, &req)
	default:
		body, err := s.control(st, &req, generation)
		_ = reply(st, body, err)
	}
}

// check refuses a request whose operation or names are none.
func check(req *agentproto.Request) error {
	switch req.Op {
	case agentproto.OpHello, agentproto.OpShutdown, agentproto.OpClock:
		return nil
	case agentproto.OpList, agentproto.OpTree, agentproto.OpAccept:
		return checkContainer(req.Container)
	case agentproto.OpStart, agentproto.OpWait, agentproto.OpSignal, agentproto.OpResize, agentproto.OpInput, agentproto.OpOutput, agentproto.OpForget:
		if err := checkContainer(req.Container); err != nil {
			return err
		}
		return checkProcess(req.Process)
	}
	return badRequest("unknown operation %q", req.Op)
}

func checkContainer(id string) error {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return badRequest("container %.80q is not 64 hex digits", id)
	}
	return nil
}

// maxProcessID bounds a process id, in bytes.
const maxProcessID = 128

func checkProcess(id string) error {
	if id == "" || len(id) > maxProcessID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }) {
		return badRequest("process id %.80q is not 1 to %d letters and digits", id, maxProcessID)
	}
	return nil
}

func badRequest(format string, args ...any) error {
	return &agentproto.Error{Code: agentproto.ErrBadRequest, Message: fmt.Sprintf(format, args...)}
}

// decode reads the body of a request.
func decode(req *agentproto.Request, v any) error {
	if len(req.Body) == 0 {
		return badRequest("%s: no body", req.Op)
	}
	if err := json.Unmarshal(req.Body, v); err != nil {
		return badRequest("%s: %v", req.Op, err)
	}
	return nil
}

// reply answers a request.
func reply(st io.Writer, body any, err error) error {
	var r agentproto.Reply
	if err != nil {
		var e *agentproto.Error
		if !errors.As(err, &e) {
			e = &agentproto.Error{Code: agentproto.ErrInternal, Message: err.Error()}
		}
		r.Error = &agentproto.Error{Code: e.Code, Message: oneLine(e.Message)}
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		if len(b) > agentproto.MaxReply-1024 {
			return reply(st, nil, &agentproto.Error{Code: agentproto.ErrInternal, Message: "the reply is too long"})
		}
		r.Body = b
	}
	return agentproto.WriteFrame(st, r)
}

// maxMessage bounds an error's text, in bytes.
const maxMessage = 4096

func oneLine(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", "; "), "?")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + " …"
	}
	return s
}

// hello settles the version.
func (s *Server) hello(req *agentproto.Request, generation uint64) (any, error) {
	var h agentproto.HelloRequest
	if err := decode(req, &h); err != nil {
		return nil, err
	}
	version := min(agentproto.Version, h.MaxVersion)
	if version < agentproto.MinVersion || version < h.MinVersion {
		return nil, &agentproto.Error{Code: agentproto.ErrVersion, Message: fmt.Sprintf("the agent speaks versions %d to %d of the protocol, the host %d to %d",
			agentproto.MinVersion, agentproto.Version, h.MinVersion, h.MaxVersion)}
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	memory, err := runner.MemoryBytes()
	if err != nil {
		return nil, err
	}
	reply := agentproto.HelloReply{Version: version, Generation: generation, Kernel: unix.ByteSliceToString(u.Release[:]),
		MemoryBytes: uint64(memory), CPUs: onlineCPUs()}
	if generation == 1 {
		s.bootOnce.Do(func() {
			s.boot.Lap("hear from the host")
			reply.Boot = s.boot.Laps()
		})
	}
	reply.ClockNanos = machine.MonotonicNanos()
	return reply, nil
}

// onlineCPUs counts the machine's processors; some may have been plugged in since
// the agent started.
func onlineCPUs() int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(1, &set); err != nil {
		return 1
	}
	return set.Count()
}
