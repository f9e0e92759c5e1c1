package engine

import (
	"context"
	"errors"
	"fmt"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// Attach connects the streams with a running container's first process and
// returns its exit code when it ends, or ErrDetached.
func (e *Engine) Attach(ctx context.Context, nameOrID string, streams Streams) (int, error) {
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return ExitOwnFailure, err
	}
	if live == nil {
		return ExitOwnFailure, &container.StateError{Name: c.Spec.Name, Have: c.Record.State, Verb: "attach to", Hint: "start it with `vpod start --attach`"}
	}
	if err := (chosen{Container: c, live: live}).refusePaused("attach to"); err != nil {
		return ExitOwnFailure, err
	}
	return e.attach(ctx, c, streams)
}

// attach opens a session with a container that runs and waits for its end.
func (e *Engine) attach(ctx context.Context, c container.Container, streams Streams) (int, error) {
	s, err := openSession(ctx, e.reach(c.Spec.ID), c.Spec, streams, false)
	if err != nil {
		return ExitOwnFailure, err
	}
	return s.wait(ctx, e)
}

// session is an open attachment. A goroutine carries the streams; wait or close
// ends it.
type session struct {
	spec   container.Spec
	cancel context.CancelFunc
	ended  chan struct{}
	exit   monitor.Exit // valid once ended is closed
	err    error
}

// openSession attaches and returns once the monitor has accepted: nothing that
// is printed from then on is missed. owner says that this command has started
// the container, and will remove it when that was asked.
func openSession(ctx context.Context, files paths.Container, spec container.Spec, streams Streams, owner bool) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{spec: spec, cancel: cancel, ended: make(chan struct{})}
	accepted := make(chan struct{})
	ms := monitor.Streams{
		Stdin:      streams.Stdin,
		Stdout:     streams.Stdout,
		Stderr:     streams.Stderr,
		Resize:     sizes(ctx, streams.Resize),
		Signals:    streams.Signals,
		DetachKeys: streams.DetachKeys,
		Removes:    owner && spec.AutoRemove,
		Attached:   func() { close(accepted) },
	}
	if !spec.Process.Terminal {
		ms.DetachKeys = nil // nobody types: what looks like the keys is data
	}
	go func() {
		defer close(s.ended)
		s.exit, s.err = monitor.Attach(ctx, files.AttachSocket(), spec.ID, ms)
	}()
	select {
	case <-accepted:
		return s, nil
	case <-s.ended:
		cancel()
		return nil, fmt.Errorf("attach to container %s: %w", spec.Name, s.err)
	}
}

// close detaches. A nil session is closed already.
func (s *session) close() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.ended
}

// wait waits for the end of the container and returns its exit code. A container
// that was to be removed at its end is gone afterwards.
func (s *session) wait(ctx context.Context, e *Engine) (int, error) {
	defer s.cancel()
	<-s.ended
	e.opts.Timing.Join(s.exit.Timing)
	e.opts.Timing.Mark("hear of the end")
	defer e.opts.Timing.Mark("settle the container")
	ctx = context.WithoutCancel(ctx) // what is to be removed is, also after Ctrl-C
	switch {
	case errors.Is(s.err, monitor.ErrDetached):
		return 0, ErrDetached
	case s.err != nil && !errors.Is(s.err, monitor.ErrGone):
		return ExitOwnFailure, fmt.Errorf("attached to container %s: %w", s.spec.Name, s.err)
	}
	if s.err != nil { // the monitor was killed: what the record says then holds
		if err := e.awaitEnd(ctx, s.spec); err != nil {
			return ExitOwnFailure, err
		}
		return e.exitOfLost(ctx, s.spec)
	}
	if _, _, err := e.find(ctx, s.spec.ID); err != nil && !errors.Is(err, errNoContainer) {
		return ExitOwnFailure, err
	}
	if s.exit.Error != "" {
		return s.exit.ExitCode, fmt.Errorf("container %s: %s", s.spec.Name, s.exit.Error)
	}
	return s.exit.ExitCode, nil
}

// exitOfLost is the exit of a container whose monitor went without a word.
func (e *Engine) exitOfLost(ctx context.Context, spec container.Spec) (int, error) {
	files := e.dirs.Container(spec.ID)
	exit, exitErr := readExit(files)
	var r container.Record
	r.State = container.Running
	applyExit(&r, spec, exit, exitErr, spec.Created)
	if _, _, err := e.find(ctx, spec.ID); err != nil && !errors.Is(err, errNoContainer) {
		return ExitOwnFailure, err
	}
	if r.Error == "" {
		return r.ExitCode, nil
	}
	return r.ExitCode, fmt.Errorf("container %s: %s", spec.Name, r.Error)
}

// sizes turns terminal sizes into the agent's words; nil stays nil.
func sizes(ctx context.Context, in <-chan Size) <-chan agentproto.ResizeRequest {
	if in == nil {
		return nil
	}
	out := make(chan agentproto.ResizeRequest)
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case size, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- agentproto.ResizeRequest{Rows: size.Rows, Cols: size.Cols}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}
