package monitor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"vpod/pkg/agentclient"
)

const (
	// defaultBootTimeout holds where the orders name none.
	defaultBootTimeout = time.Minute
	// bootAttempts: a guest's clock calibration can fail on a loaded host without
	// KVM, and the kernel then waits for ever (docs/design/machine.md). Once more
	// is worth it; a QEMU that gives up would give up again.
	bootAttempts = 2
	// endGrace is how long the machine gets to end by itself once its channel is
	// closed: QEMU closes its descriptors before it is gone.
	endGrace = 2 * time.Second
	// clockLimit is how exactly a booted guest's clock is to be known. The first
	// answers of an emulated one take long.
	clockLimit = 5 * time.Millisecond
	// resumeLimit is the same for a restored one, which need not be asked: asking takes
	// an emulated one's processor for some milliseconds.
	resumeLimit = 10 * time.Millisecond
	// entropyBytes go to every guest at its start.
	entropyBytes = 64
	// consoleQuoteBytes is how much of the console's end is looked at for an error.
	consoleQuoteBytes = 16 << 10
)

// errStopped reports a start that a stop came in between of.
var errStopped = errors.New("stopped before it ran")

// hangError reports a machine that did not come up in time.
type hangError struct{ timeout time.Duration }

func (e *hangError) Error() string {
	return fmt.Sprintf("its machine did not come up within %s", e.timeout)
}

// run is one run of the machine.
type run struct {
	machine machine
	session *agentclient.Session
	client  *agentclient.Client
	clock   agentclient.Clock // of the guest; zero when it goes on from a template

	started  chan struct{} // closed when the first process runs
	exited   chan struct{} // closed when it has ended, or nobody will ever know
	gone     chan struct{} // closed when the machine is gone and done with
	progress chan struct{} // holds one when output has come

	consoleDone chan struct{} // closed when the console has been read to its end

	mu        sync.Mutex
	destroyed string // why we switched the machine off under the container
	failed    error  // violation of the protocol by the agent
	timedOut  bool   // killed for running too long
}

// boot starts the machine, from its template if it has one, and waits for its agent.
func (s *supervisor) boot(ctx context.Context) (*run, error) {
	if s.launch.Template != nil {
		return s.bootOnce(ctx)
	}
	for attempt := 1; ; attempt++ {
		r, err := s.bootOnce(ctx)
		var hang *hangError
		if err == nil || !errors.As(err, &hang) {
			return r, err
		}
		quote := quoteConsole(s.console.tail(consoleQuoteBytes))
		s.log.Warn("machine did not come up", "attempt", attempt, "after", hang.timeout, "console", quote)
		if attempt == bootAttempts {
			return nil, fmt.Errorf("%w, tried %d times: the host may be overloaded, or the kernel cannot boot this machine%s", err, attempt, quote)
		}
	}
}

// bootOnce starts the machine once. Its error is a *hangError when the machine
// runs but does not answer in time.
func (s *supervisor) bootOnce(ctx context.Context) (*run, error) {
	s.console.setMark()
	began := time.Now()
	s.oom.relax()
	m, err := s.start(ctx, s.launch, s.record, s.log)
	s.oom.protect()
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	r := &run{
		machine: m,
		started: make(chan struct{}), exited: make(chan struct{}), gone: make(chan struct{}),
		progress: make(chan struct{}, 1), consoleDone: make(chan struct{}),
	}
	go func() {
		defer close(r.consoleDone)
		drainConsole(m.Console(), s.console)
	}()
	s.tell(func(st *Status) { st.QEMUPID = m.PID() })

	timeout := s.launch.BootTimeout
	if timeout <= 0 {
		timeout = defaultBootTimeout
	}
	hang := &hangError{timeout: timeout}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, hang)
	defer cancel()
	// The machine's helpers come up beside it, and its end ends the wait.
	limited, fail := context.WithCancelCause(limited)
	defer fail(nil)
	ready := make(chan error, 1)
	go func() {
		err := m.Ready(limited)
		if err != nil {
			fail(err)
		}
		ready <- err
	}()
	go func() {
		select {
		case <-m.Done():
			fail(errMachineGone)
		case <-limited.Done():
		}
	}()
	r.session, err = s.connect(limited, m)
	s.markBoot(r.session, began)
	if err == nil {
		if err = <-ready; err == nil {
			r.clock, err = readClock(limited, m, r.session)
		}
		if err != nil {
			r.session.Close()
		}
	}
	if err != nil {
		err = s.blameTemplate(s.bootFailed(limited, r, err))
		s.tell(func(st *Status) { st.QEMUPID = 0 })
		return nil, err
	}
	r.client = agentclient.New(r.session)
	hello := r.session.Hello()
	took := time.Since(began)
	s.record.Mark("the machine is ready")
	s.log.Info("machine is up", "qemu", m.PID(), "after", took.Round(time.Millisecond), "kernel", hello.Kernel,
		"memoryBytes", hello.MemoryBytes, "cpus", hello.CPUs, "agentVersion", hello.Version)
	s.tell(func(st *Status) { st.ReadyAfter, st.Kernel = Duration(took), hello.Kernel })
	return r, nil
}

// connect begins the conversation with the machine's agent, or goes on with the one
// the machine was saved in.
func (s *supervisor) connect(ctx context.Context, m machine) (*agentclient.Session, error) {
	if t := s.launch.Template; t != nil {
		return agentclient.ContinueSession(m.Channel(), t.Hello)
	}
	return agentclient.NewSession(ctx, m.Channel())
}

// readClock finds out what the guest's clock is. That of a restored machine went on
// when the machine did: it is asked only when that is not known well enough, as on a
// host with more to do than it can.
func readClock(ctx context.Context, m machine, session *agentclient.Session) (agentclient.Clock, error) {
	at, within := m.Resumed()
	saved := agentclient.Clock{GuestNanos: session.Hello().ClockNanos, Host: at.Add(within / 2), Error: within / 2}
	if !at.IsZero() && (saved.Error <= resumeLimit || saved.GuestNanos == 0) {
		return saved, nil
	}
	asked, err := session.MeasureClock(ctx, clockLimit)
	if err == nil && !at.IsZero() && saved.Error <= asked.Error {
		return saved, nil
	}
	return asked, err
}

// bootFailed ends a machine that did not come up and says why it did not.
func (s *supervisor) bootFailed(ctx context.Context, r *run, err error) error {
	cause := context.Cause(ctx)
	var hang *hangError
	if errors.Is(err, agentclient.ErrClosed) || errors.Is(cause, errMachineGone) {
		// Whether the machine has ended shows a moment after its channel has.
		select {
		case <-r.machine.Done():
			cause = errMachineGone
		case <-time.After(endGrace):
		}
	}
	ended := errors.Is(cause, errMachineGone)
	r.machine.Kill()
	<-r.consoleDone
	switch {
	case ended:
		return s.explainEnd(r.machine.End())
	case errors.Is(err, agentclient.ErrProtocol), errors.Is(err, agentclient.ErrClosed):
		return fmt.Errorf("its machine is not to be trusted: %w%s", err, quoteConsole(s.console.tail(consoleQuoteBytes)))
	case errors.As(cause, &hang), cause != nil:
		return cause
	}
	return err
}

// freshEntropy returns random bytes for a guest's pool.
func freshEntropy() ([]byte, error) {
	b := make([]byte, entropyBytes)
	if _, err := rand.Read(b); err != nil {
		return nil, fmt.Errorf("get random bytes: %w", err)
	}
	return b, nil
}

// endsWithin reports whether a run's first process ends within d.
func (r *run) endsWithin(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.exited:
		return true
	case <-timer.C:
		return false
	}
}

// destroy switches the machine off under the container; why says what for.
func (r *run) destroy(why string, grace time.Duration) {
	r.mu.Lock()
	if r.destroyed == "" {
		r.destroyed = why
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	_ = r.machine.Quit(ctx) // what does not end so is killed
	r.machine.Kill()
}

// fail records that the agent broke the protocol, and ends the session.
func (r *run) fail(err error) {
	r.mu.Lock()
	if r.failed == nil {
		r.failed = err
	}
	r.mu.Unlock()
	r.session.Close()
}
