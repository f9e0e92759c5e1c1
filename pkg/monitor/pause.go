package monitor

import (
	"context"
	"fmt"
	"time"
)

// pauseTimeout bounds QEMU's answer to a pause and its end.
const pauseTimeout = 10 * time.Second

// pause stops the machine's processors. Memory, disks, connections and what is on
// its way to the container stay as they are until unpause.
func (s *supervisor) pause(ctx context.Context) error {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	r := s.current()
	if r == nil || !r.hasStarted() || s.isStopping() {
		return fmt.Errorf("container %s is not running: it is starting, ending, or waiting to be restarted", s.c.Name)
	}
	if s.paused == r {
		return fmt.Errorf("container %s is paused already", s.c.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	if err := r.machine.Pause(ctx); err != nil {
		return fmt.Errorf("pause the machine of container %s: %w", s.c.Name, err)
	}
	s.paused = r
	s.log.Info("paused")
	s.tell(func(st *Status) { st.State = statusPaused })
	return nil
}

// unpause lets the machine go on. Its clock, which stood still, is set before the
// caller is answered.
func (s *supervisor) unpause(ctx context.Context) error {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	r := s.current()
	if r == nil || s.paused != r {
		return fmt.Errorf("container %s is not paused", s.c.Name)
	}
	if err := s.resume(ctx, r); err != nil {
		return fmt.Errorf("unpause the machine of container %s: %w", s.c.Name, err)
	}
	s.tell(func(st *Status) {
		if st.State == statusPaused {
			st.State = statusRunning
		}
	})
	if s.keepsTime() {
		s.setClock(r)
	}
	return nil
}

// wake lets a machine go on that is to end: a paused one could not.
func (s *supervisor) wake(ctx context.Context, r *run) {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	if s.paused != r {
		return
	}
	if err := s.resume(ctx, r); err != nil {
		s.log.Warn("unpause", "error", err) // SIGKILL does not reach it; it is switched off
	}
}

// resume lets a paused machine go on; s.pausing is held.
func (s *supervisor) resume(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, pauseTimeout)
	defer cancel()
	if err := r.machine.Continue(ctx); err != nil {
		return err
	}
	s.paused = nil
	s.log.Info("unpaused")
	return nil
}

// isPaused reports whether a run's machine stands still.
func (s *supervisor) isPaused(r *run) bool {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	return s.paused == r
}

// hasStarted reports whether the run's first process runs, or has run.
func (r *run) hasStarted() bool {
	select {
	case <-r.started:
		return true
	default:
		return false
	}
}

// Pause implements machine by QMP's stop.
func (m *qemuMachine) Pause(ctx context.Context) error { return m.qmp.Stop(ctx) }

// Continue implements machine by QMP's cont.
func (m *qemuMachine) Continue(ctx context.Context) error { return m.qmp.Cont(ctx) }
