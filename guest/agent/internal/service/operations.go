package service

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/bulk"
	"vpod/guest/agent/internal/machine"
	"vpod/guest/agent/internal/runner"
	"vpod/guest/agent/internal/stopwatch"
	"vpod/pkg/agentproto"
)

// control answers an operation that is one request and one reply.
func (s *Server) control(st bulkStream, req *agentproto.Request, generation uint64) (any, error) {
	switch req.Op {
	case agentproto.OpHello:
		return s.hello(req, generation)
	case agentproto.OpStart:
		return s.start(req)
	case agentproto.OpShutdown:
		var b agentproto.ShutdownRequest
		if err := decode(req, &b); err != nil {
			return nil, err
		}
		return nil, s.runner.Shutdown(context.Background(), b.Sync)
	case agentproto.OpClock:
		var b agentproto.ClockRequest
		if err := decode(req, &b); err != nil {
			return nil, err
		}
		return machine.KeepTime(&b)
	}
	c, err := s.runner.Container(req.Container)
	if err != nil {
		return nil, err
	}
	switch req.Op {
	case agentproto.OpList:
		return c.List()
	case agentproto.OpForget:
		return nil, c.Forget(req.Process)
	}
	p, err := c.Process(req.Process)
	if err != nil {
		return nil, err
	}
	switch req.Op {
	case agentproto.OpWait:
		select {
		case <-p.Done():
			return p.Status(), nil
		case <-st.Session().CloseChan():
			return nil, errors.New("session ended")
		}
	case agentproto.OpSignal:
		return nil, signal(c, p, req)
	case agentproto.OpResize:
		var b agentproto.ResizeRequest
		if err := decode(req, &b); err != nil {
			return nil, err
		}
		return nil, p.Resize(b.Rows, b.Cols)
	}
	return nil, badRequest("unknown operation %q", req.Op)
}

func signal(c *runner.Container, p *runner.Process, req *agentproto.Request) error {
	var b agentproto.SignalRequest
	if err := decode(req, &b); err != nil {
		return err
	}
	const last = 64 // SIGRTMAX
	if b.Signal < 0 || b.Signal > last {
		return badRequest("signal %d is none", b.Signal)
	}
	if b.All {
		return c.SignalAll(unix.Signal(b.Signal))
	}
	return p.Signal(unix.Signal(b.Signal))
}

// start sets up the machine, makes a container or adds a process to one. What
// concerns the network happens while the root file system is assembled.
func (s *Server) start(req *agentproto.Request) (any, error) {
	var b agentproto.StartRequest
	if err := decode(req, &b); err != nil {
		return nil, err
	}
	watch := stopwatch.Start(b.Timing)
	network := func() error { return nil }
	if b.Machine != nil {
		if err := machine.Setup(b.Machine); err != nil {
			return nil, setupError(err)
		}
		watch.Lap("set clock and random numbers")
		network = inBackground(func() error { return machine.SetupNICs(b.Machine.NICs) })
	}
	p, err := s.startProcess(req, &b, network, watch)
	if err != nil {
		_ = network()
		return nil, err
	}
	return agentproto.StartReply{PID: p.PID(), Laps: watch.Laps()}, nil
}

func (s *Server) startProcess(req *agentproto.Request, b *agentproto.StartRequest, network func() error, watch *stopwatch.Watch) (*runner.Process, error) {
	ready := func() error { return setupError(network()) }
	if b.Container == nil {
		c, err := s.runner.Container(req.Container)
		if err != nil {
			return nil, err
		}
		if err := ready(); err != nil {
			return nil, err
		}
		return c.Exec(req.Process, &b.Process)
	}
	if req.Process != agentproto.InitProcess {
		return nil, badRequest("the first process of a container is called %q", agentproto.InitProcess)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deviceWait)
	defer cancel()
	return s.runner.Create(ctx, req.Container, b.Container, &b.Process, ready, watch)
}

func setupError(err error) error {
	if err == nil {
		return nil
	}
	return &agentproto.Error{Code: agentproto.ErrSetup, Message: err.Error()}
}

// inBackground starts f and returns a function that waits for it; it may be
// called more than once.
func inBackground(f func() error) func() error {
	done := make(chan struct{})
	var err error
	go func() {
		defer close(done)
		err = f()
	}()
	return func() error {
		<-done
		return err
	}
}

// bulk answers a stream that goes on with raw bytes.
func (s *Server) bulk(st bulkStream, req *agentproto.Request) {
	c, err := s.runner.Container(req.Container)
	if err != nil {
		_ = reply(st, nil, err)
		return
	}
	p, err := c.Process(req.Process)
	if err != nil {
		_ = reply(st, nil, err)
		return
	}
	var b agentproto.BulkRequest
	if err := decode(req, &b); err != nil {
		_ = reply(st, nil, err)
		return
	}
	if req.Op == agentproto.OpInput {
		in, err := p.Input()
		if err != nil {
			_ = reply(st, nil, err)
			return
		}
		offset := in.Open(st)
		// Also when the reply does not get through: what Open claims, Serve frees.
		_ = reply(st, agentproto.BulkReply{Offset: offset}, nil)
		in.Serve(st)
		return
	}
	out, err := p.Output(b.FD)
	if err != nil {
		_ = reply(st, nil, err)
		return
	}
	ticket, err := out.Open(b.Offset)
	if err != nil {
		var oe *bulk.OffsetError
		if errors.As(err, &oe) {
			err = &agentproto.Error{Code: agentproto.ErrOffset, Message: err.Error()}
		}
		_ = reply(st, nil, err)
		return
	}
	if reply(st, agentproto.BulkReply{Offset: b.Offset}, nil) == nil {
		out.Serve(st, ticket, b.Offset)
	}
}
