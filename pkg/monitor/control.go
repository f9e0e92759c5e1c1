package monitor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
)

// stopRequest asks for the container's end.
type stopRequest struct {
	byUser  bool           // unless-stopped heeds it
	signal  int            // 0 is the container's stop signal
	timeout *time.Duration // before SIGKILL; nil is the container's
}

// maxForwards bounds the signals remembered for a process that does not run yet.
const maxForwards = 8

// stop stops the container for good: a signal, after a time SIGKILL, and when
// that does nothing either, the machine is switched off. It returns when the
// exit record is written. Several may be under way, each with its own timeout.
func (s *supervisor) stop(ctx context.Context, req stopRequest) {
	s.beginStop(req.byUser)
	sig, timeout := req.signal, s.c.StopTimeout
	if sig == 0 {
		sig = s.c.StopSignal
	}
	if sig == 0 {
		sig = int(syscall.SIGTERM)
	}
	if req.timeout != nil {
		timeout = *req.timeout
	}
	s.log.Info("stop", "signal", sig, "timeout", timeout, "byUser", req.byUser)
	if r := s.current(); r != nil {
		s.terminate(ctx, r, sig, timeout)
	}
	<-s.ended
}

// beginStop ends restarts, waits between them, and a start that is under way.
func (s *supervisor) beginStop(byUser bool) {
	s.mu.Lock()
	s.byUser = s.byUser || byUser
	first := !s.stopped
	s.stopped = true
	s.mu.Unlock()
	if first {
		close(s.stopping)
		s.tell(func(st *Status) { st.State = statusStopping })
	}
}

func (s *supervisor) isStopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *supervisor) wasByUser() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byUser
}

// terminate ends the first process of a run.
func (s *supervisor) terminate(ctx context.Context, r *run, sig int, timeout time.Duration) {
	select {
	case <-r.started:
	case <-r.gone: // the start was given up
		return
	}
	s.wake(ctx, r)
	if sig != int(syscall.SIGKILL) {
		// Beside the wait: an agent that does not answer must not lengthen it.
		go func() { _ = s.signal(ctx, r, sig) }()
		if r.endsWithin(timeout) {
			return
		}
	}
	s.killProcess(ctx, r)
}

// killProcess ends the first process by SIGKILL, and the machine if need be.
func (s *supervisor) killProcess(ctx context.Context, r *run) {
	s.wake(ctx, r)
	go func() { _ = s.signal(ctx, r, int(syscall.SIGKILL)) }()
	if r.endsWithin(s.limits.kill) {
		return
	}
	s.log.Error("the guest does not react to SIGKILL; its machine is switched off")
	r.destroy("the guest did not react to SIGKILL; its machine was switched off", s.limits.quit)
}

// signal sends a signal to the first process.
func (s *supervisor) signal(ctx context.Context, r *run, sig int) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.signal)
	defer cancel()
	err := r.client.Signal(ctx, s.c.ID, agentproto.InitProcess, agentproto.SignalRequest{Signal: sig})
	if err != nil {
		s.log.Warn("signal the container", "signal", sig, "error", err)
	}
	return err
}

// kill sends a signal for a user. SIGKILL ends the container whatever the guest
// makes of it. With noRestart the restart policy does not apply afterwards; a
// container that waits to be restarted then ends at once.
func (s *supervisor) kill(ctx context.Context, sig int, noRestart bool) error {
	r := s.current()
	runs := false
	if r != nil {
		select {
		case <-r.started:
			runs = true
		default:
		}
	}
	if !runs {
		if !noRestart {
			return fmt.Errorf("container %s is not running: it is starting, or waiting to be restarted", s.c.Name)
		}
		s.beginStop(true)
		if r != nil {
			s.terminate(ctx, r, sig, 0)
		}
		return nil
	}
	if noRestart {
		s.mu.Lock()
		s.noRestart, s.byUser = true, true
		s.mu.Unlock()
	}
	if sig == int(syscall.SIGKILL) {
		s.log.Info("kill")
		s.killProcess(ctx, r)
		return nil
	}
	err := s.signal(ctx, r, sig)
	var refused *agentproto.Error
	switch {
	case errors.As(err, &refused) && refused.Code == agentproto.ErrNoProcess:
		return fmt.Errorf("container %s has just ended", s.c.Name)
	case errors.Is(err, agentclient.ErrClosed):
		return nil // it has ended, most likely by this signal, before the answer came
	}
	return err
}

// forward passes on a signal that an attached client got. One for a process that
// does not run yet is kept for it.
func (s *supervisor) forward(ctx context.Context, sig int) {
	r := s.current()
	if r != nil {
		select {
		case <-r.started:
			_ = s.signal(ctx, r, sig) // it is in the log; there is nobody to tell
			return
		default:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.forwards) < maxForwards {
		s.forwards = append(s.forwards, sig)
	}
}

// takeForwards returns the signals kept for a process that now runs.
func (s *supervisor) takeForwards() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.forwards
	s.forwards = nil
	return kept
}

// resize sets the size of the container's terminal, now or once it has one.
func (s *supervisor) resize(ctx context.Context, size agentproto.ResizeRequest) {
	s.streams.setSize(size)
	r := s.current()
	if r == nil || !s.c.Process.OCI.Terminal {
		return
	}
	select {
	case <-r.started:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.signal)
	defer cancel()
	if err := r.client.Resize(ctx, s.c.ID, agentproto.InitProcess, size); err != nil {
		s.log.Warn("resize the container's terminal", "error", err)
	}
}

// timeOut ends a container that has run for as long as it may.
func (s *supervisor) timeOut(ctx context.Context, r *run) {
	select {
	case <-r.exited:
		return
	default:
	}
	s.log.Info("the container's time is up", "timeout", s.c.Timeout)
	r.mu.Lock()
	r.timedOut = true
	r.mu.Unlock()
	s.killProcess(ctx, r)
}
