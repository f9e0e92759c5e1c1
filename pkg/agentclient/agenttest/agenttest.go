// Package agenttest is an agent for tests: it speaks agentproto over any
// connection and runs Go functions where the real one runs processes.
//
// Tests of agentclient and monitor use it; the binary does not.
package agenttest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentproto"
)

// Agent answers for a machine. Set its fields before Serve.
type Agent struct {
	// Main is run for each process started. Its result is the exit status.
	Main func(p *Process) agentproto.ExitStatus
	// StartError refuses every start.
	StartError *agentproto.Error
	// Laps are said of each start that asks for them.
	Laps []agentproto.Lap
	// ClockNanos is the guest's clock; nil is an agent that does not tell it.
	ClockNanos func() int64
	// Intercept may serve a stream itself and then returns true.
	Intercept func(req agentproto.Request, st *yamux.Stream) bool
	// Window bounds unacknowledged output; 0 is agentproto.Window.
	Window int

	mu         sync.Mutex
	generation uint64
	processes  map[string]*Process
	ops        []agentproto.Op
	starts     []agentproto.StartRequest
	clocks     []agentproto.ClockRequest
}

// Process is a process of the agent's.
type Process struct {
	ID      string
	Request agentproto.StartRequest
	Stdin   io.Reader
	Stdout  *Output
	Stderr  *Output
	Signals chan int
	Sizes   chan agentproto.ResizeRequest

	stdinW  *io.PipeWriter
	stdinMu sync.Mutex // held by the stream that is served
	stdinN  int64
	done    chan struct{}
	exit    agentproto.ExitStatus
}

// Ops returns the operations asked for so far.
func (a *Agent) Ops() []agentproto.Op {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]agentproto.Op(nil), a.ops...)
}

// Starts returns the start requests so far.
func (a *Agent) Starts() []agentproto.StartRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]agentproto.StartRequest(nil), a.starts...)
}

// Clocks returns the requests to set the clock so far.
func (a *Agent) Clocks() []agentproto.ClockRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]agentproto.ClockRequest(nil), a.clocks...)
}

// Serve answers on conn until it ends; it may be called again with another one.
func (a *Agent) Serve(conn net.Conn) error {
	defer conn.Close()
	nonce, err := agentproto.ReadPreamble(conn, 0)
	if err != nil {
		return err
	}
	p := agentproto.Preamble(nonce)
	if _, err := conn.Write(p[:]); err != nil {
		return err
	}
	return a.Continue(conn)
}

// Continue is Serve within a session that was begun before, as that of a machine
// saved in it is.
func (a *Agent) Continue(conn net.Conn) error {
	defer conn.Close()
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.MaxStreamWindowSize = agentproto.Window
	config.LogOutput = io.Discard
	mux, err := yamux.Server(conn, config)
	if err != nil {
		return err
	}
	defer mux.Close()
	a.mu.Lock()
	a.generation++
	a.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer mux.Close()
	for {
		st, err := mux.AcceptStream()
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer st.Close()
			a.serve(st)
		})
	}
}

func (a *Agent) serve(st *yamux.Stream) {
	var req agentproto.Request
	if agentproto.ReadFrame(st, agentproto.MaxRequest, &req) != nil {
		return
	}
	a.mu.Lock()
	a.ops = append(a.ops, req.Op)
	a.mu.Unlock()
	if a.Intercept != nil && a.Intercept(req, st) {
		return
	}
	switch req.Op {
	case agentproto.OpHello:
		a.mu.Lock()
		gen := a.generation
		a.mu.Unlock()
		hello := agentproto.HelloReply{Version: agentproto.Version, Generation: gen, Kernel: "6.12-test", MemoryBytes: 256 << 20, CPUs: 1}
		if a.ClockNanos != nil {
			hello.ClockNanos = a.ClockNanos()
		}
		Reply(st, hello, nil)
	case agentproto.OpStart:
		a.start(st, req)
	case agentproto.OpShutdown, agentproto.OpForget:
		Reply(st, struct{}{}, nil)
	case agentproto.OpList:
		Reply(st, a.list(), nil)
	case agentproto.OpClock:
		a.keepTime(st, req)
	default:
		p := a.process(req.Process)
		if p == nil {
			Reply(st, nil, &agentproto.Error{Code: agentproto.ErrNoProcess, Message: "no such process"})
			return
		}
		p.serve(st, req)
	}
}

// Reply writes a reply.
func Reply(w io.Writer, body any, fail *agentproto.Error) {
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	_ = agentproto.WriteFrame(w, agentproto.Reply{Error: fail, Body: raw})
}

// keepTime tells the clock, and notes what it was to be set to.
func (a *Agent) keepTime(st *yamux.Stream, req agentproto.Request) {
	var clock agentproto.ClockRequest
	if err := json.Unmarshal(req.Body, &clock); err != nil {
		Reply(st, nil, &agentproto.Error{Code: agentproto.ErrBadRequest, Message: err.Error()})
		return
	}
	var reply agentproto.ClockReply
	if a.ClockNanos != nil {
		reply.ClockNanos = a.ClockNanos()
	}
	if clock.TimeUnixNano != 0 {
		a.mu.Lock()
		a.clocks = append(a.clocks, clock)
		a.mu.Unlock()
	}
	Reply(st, reply, nil)
}

func (a *Agent) process(id string) *Process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.processes[id]
}

func (a *Agent) list() agentproto.ListReply {
	a.mu.Lock()
	defer a.mu.Unlock()
	var reply agentproto.ListReply
	for id, p := range a.processes {
		info := agentproto.ProcessInfo{ID: id, PID: 1}
		select {
		case <-p.done:
			exit := p.exit
			info.Exit = &exit
		default:
		}
		reply.Processes = append(reply.Processes, info)
	}
	return reply
}

func (a *Agent) start(st *yamux.Stream, req agentproto.Request) {
	if a.StartError != nil {
		Reply(st, nil, a.StartError)
		return
	}
	window := a.Window
	if window == 0 {
		window = agentproto.Window
	}
	p := &Process{
		ID: req.Process, Stdout: newOutput(window), Stderr: newOutput(window),
		Signals: make(chan int, 100), Sizes: make(chan agentproto.ResizeRequest, 100), done: make(chan struct{}),
	}
	p.Stdin, p.stdinW = io.Pipe()
	if err := json.Unmarshal(req.Body, &p.Request); err != nil {
		Reply(st, nil, &agentproto.Error{Code: agentproto.ErrBadRequest, Message: err.Error()})
		return
	}
	a.mu.Lock()
	if a.processes == nil {
		a.processes = map[string]*Process{}
	}
	a.processes[req.Process] = p
	a.starts = append(a.starts, p.Request)
	a.mu.Unlock()
	go func() {
		p.exit = a.Main(p)
		p.Stdout.Close()
		p.Stderr.Close()
		p.Stdin.(*io.PipeReader).Close()
		close(p.done)
	}()
	reply := agentproto.StartReply{PID: 42}
	if p.Request.Timing {
		reply.Laps = a.Laps
	}
	Reply(st, reply, nil)
}

func (p *Process) serve(st *yamux.Stream, req agentproto.Request) {
	switch req.Op {
	case agentproto.OpWait:
		<-p.done
		Reply(st, p.exit, nil)
	case agentproto.OpSignal:
		var sig agentproto.SignalRequest
		_ = json.Unmarshal(req.Body, &sig)
		select {
		case <-p.done:
			Reply(st, nil, &agentproto.Error{Code: agentproto.ErrNoProcess, Message: "the process has ended"})
			return
		default:
		}
		p.Signals <- sig.Signal
		Reply(st, struct{}{}, nil)
	case agentproto.OpResize:
		var size agentproto.ResizeRequest
		_ = json.Unmarshal(req.Body, &size)
		p.Sizes <- size
		Reply(st, struct{}{}, nil)
	case agentproto.OpInput:
		p.serveInput(st)
	case agentproto.OpOutput:
		var bulk agentproto.BulkRequest
		_ = json.Unmarshal(req.Body, &bulk)
		out := p.Stdout
		if bulk.FD == 2 {
			out = p.Stderr
		}
		out.serve(st, bulk.Offset)
	}
}

// serveInput feeds standard input and acknowledges what the process has read.
func (p *Process) serveInput(st *yamux.Stream) {
	p.stdinMu.Lock()
	defer p.stdinMu.Unlock()
	Reply(st, agentproto.BulkReply{Offset: p.stdinN}, nil)
	buf := make([]byte, 16<<10)
	for {
		n, err := st.Read(buf)
		if n > 0 {
			wrote, err := p.stdinW.Write(buf[:n])
			p.stdinN += int64(wrote)
			if err != nil {
				return
			}
			if writeAck(st, p.stdinN) != nil {
				return
			}
		}
		if errors.Is(err, io.EOF) && !st.Session().IsClosed() {
			p.stdinW.Close()
			return
		}
		if err != nil {
			return
		}
	}
}

func writeAck(w io.Writer, n int64) error {
	_, err := w.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return err
}

func readAck(r io.Reader) (int64, error) {
	var b [8]byte
	_, err := io.ReadFull(r, b[:])
	return int64(binary.BigEndian.Uint64(b[:])), err
}

// Output is a process's end of an output, kept until it is acknowledged.
type Output struct {
	window int
	mu     sync.Mutex
	cond   sync.Cond
	base   int64
	kept   []byte
	closed bool
}

func newOutput(window int) *Output {
	o := &Output{window: window}
	o.cond.L = &o.mu
	return o
}

// Write blocks while a window is unacknowledged.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := len(p)
	for len(p) > 0 {
		for len(o.kept) >= o.window {
			o.cond.Wait()
		}
		n := min(len(p), o.window-len(o.kept))
		o.kept = append(o.kept, p[:n]...)
		p = p[n:]
		o.cond.Broadcast()
	}
	return all, nil
}

// WriteString writes s.
func (o *Output) WriteString(s string) { _, _ = o.Write([]byte(s)) }

// Close ends the output.
func (o *Output) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.cond.Broadcast()
}

// Acknowledged is how many bytes the host has taken charge of.
func (o *Output) Acknowledged() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.base
}

// AwaitAcknowledged waits until the host has taken charge of n bytes.
func (o *Output) AwaitAcknowledged(n int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.base < n {
		o.cond.Wait()
	}
}

func (o *Output) serve(st *yamux.Stream, offset int64) {
	o.mu.Lock()
	if offset < o.base || offset > o.base+int64(len(o.kept)) {
		o.mu.Unlock()
		Reply(st, nil, &agentproto.Error{Code: agentproto.ErrOffset, Message: "offset not kept"})
		return
	}
	o.ack(offset)
	o.mu.Unlock()
	Reply(st, agentproto.BulkReply{Offset: offset}, nil)
	broken := make(chan struct{})
	go func() {
		defer close(broken)
		for {
			n, err := readAck(st)
			o.mu.Lock()
			if err == nil {
				o.ack(n)
			}
			o.cond.Broadcast()
			o.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	for at := offset; ; {
		o.mu.Lock()
		for o.base+int64(len(o.kept)) <= at && !o.closed && !isClosed(broken) {
			o.cond.Wait()
		}
		part := o.kept[at-o.base:] // never overwritten: append makes a new one when this is full
		ended := o.closed && len(part) == 0 || isClosed(broken)
		o.mu.Unlock()
		if ended {
			break
		}
		if _, err := st.Write(part); err != nil {
			return
		}
		at += int64(len(part))
	}
	st.Close()
	// The last acknowledgement comes after the end.
	select {
	case <-broken:
	case <-time.After(5 * time.Second):
	}
}

func isClosed(ch chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// ack drops what comes before n. o.mu is held.
func (o *Output) ack(n int64) {
	if n < o.base || n > o.base+int64(len(o.kept)) {
		panic("host acknowledged what it was not sent")
	}
	o.kept = o.kept[n-o.base:]
	o.base = n
}
