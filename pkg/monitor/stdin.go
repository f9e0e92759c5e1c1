package monitor

import (
	"context"
	"errors"
	"sync"

	"vpod/pkg/agentclient"
)

// stdin carries what attached clients type to the container's first process.
// Between two runs of the process there is nobody to give it to: clients wait.
type stdin struct {
	wanted bool // the process was given a standard input

	mu      sync.Mutex
	input   *agentclient.Input // of the process that runs; nil when none does
	arrived chan struct{}      // closed when input is set
	feeders int                // attached clients that send input and have not ended it
}

func newStdin(wanted bool) *stdin { return &stdin{wanted: wanted, arrived: make(chan struct{})} }

// connect leads input to a new process.
func (s *stdin) connect(in *agentclient.Input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.input = in
	close(s.arrived)
}

// disconnect ends that; a client blocked in feed moves on to waiting for the next.
func (s *stdin) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.input == nil {
		return
	}
	s.input.Close()
	s.input = nil
	s.arrived = make(chan struct{})
}

// current waits for a process; nil when ctx ends first.
func (s *stdin) current(ctx context.Context) *agentclient.Input {
	for ctx.Err() == nil {
		s.mu.Lock()
		in, arrived := s.input, s.arrived
		s.mu.Unlock()
		if in != nil {
			return in
		}
		select {
		case <-arrived:
		case <-ctx.Done():
		}
	}
	return nil
}

// feed writes p; ctx ends when the run ends that the client is attached to. It blocks while the process
// does not read. What a process does not want any more is dropped, as a pipe
// nobody reads is no reason to end a client.
func (s *stdin) feed(ctx context.Context, p []byte) {
	if !s.wanted {
		return
	}
	if in := s.current(ctx); in != nil {
		_, _ = in.Write(p)
	}
}

// join counts a client that will send input; leave takes it away. The one that
// ends its input last (ended) ends the process's: somebody else who is attached
// may still want to type.
func (s *stdin) join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeders++
}

func (s *stdin) leave(ctx context.Context, ended bool) error {
	s.mu.Lock()
	s.feeders--
	last := s.feeders == 0
	s.mu.Unlock()
	if !ended || !last || !s.wanted {
		return nil
	}
	in := s.current(ctx)
	if in == nil {
		return nil
	}
	if err := in.CloseWrite(); err != nil && !errors.Is(err, agentclient.ErrInputEnded) && ctx.Err() == nil {
		return err
	}
	return nil
}
