package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/qemu"
)

// TemplateOrders say how to make a template.
type TemplateOrders struct {
	QEMU    string       // path of the binary
	Machine qemu.Machine // template.Source's
	RAM     *os.File     // becomes its memory, in place of the file it names; stays the caller's
	State   string       // file for the state of processors and devices; must not exist

	// Warm is a container that is run to its end in the machine before it is saved,
	// so that copies find warm what every start needs. Its command must end by itself
	// with status 0.
	Warm LaunchContainer

	BootTimeout time.Duration
}

// warmTimeout bounds the run of the warming container.
const warmTimeout = time.Minute

// settleTime lets the guest finish what it does in the background, so that copies
// need not: freeing what the warming container had, the agent's garbage collection.
const settleTime = 500 * time.Millisecond

// MakeTemplate boots a machine, warms it up, and saves it, and returns what its
// agent says of itself. The machine is gone when it returns, and when this process
// dies.
func MakeTemplate(ctx context.Context, o TemplateOrders, log *slog.Logger) (agentproto.HelloReply, error) {
	return untilUp(log, func() (agentproto.HelloReply, error) { return makeTemplate(ctx, o, log) })
}

// untilUp has a machine booted, and once more if it hangs, see bootAttempts.
func untilUp[T any](log *slog.Logger, boot func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		up, err := boot()
		var hang *hangError
		if err == nil || !errors.As(err, &hang) || attempt == bootAttempts {
			return up, err
		}
		log.Warn("machine did not come up", "attempt", attempt, "error", err)
	}
}

func makeTemplate(ctx context.Context, o TemplateOrders, log *slog.Logger) (hello agentproto.HelloReply, err error) {
	started, err := startQEMU(ctx, &Launch{QEMU: o.QEMU, Machine: o.Machine, memory: o.RAM}, nil, log)
	if err != nil {
		return hello, err
	}
	m := started.(*qemuMachine)
	console := &lastBytes{max: consoleQuoteBytes}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		drainConsole(m.Console(), console)
	}()
	defer func() {
		m.Kill()
		<-drained
		if err != nil {
			err = fmt.Errorf("%w%s", err, quoteConsole(console.bytes()))
		}
	}()
	stop := context.AfterFunc(ctx, m.process.Kill)
	defer stop()

	session, err := awaitAgent(ctx, m, o.BootTimeout)
	if err != nil {
		return hello, err
	}
	// The session stays open: the agent is saved idle within it, and a copy's host
	// goes on with it.
	defer session.Close()
	limited, cancel := context.WithTimeoutCause(ctx, warmTimeout, fmt.Errorf("its agent did not run a container within %s", warmTimeout))
	defer cancel()
	if err := warmUp(limited, agentclient.New(session), o.Warm); err != nil {
		return hello, fmt.Errorf("warm the machine up: %w", err)
	}
	select {
	case <-time.After(settleTime):
	case <-ctx.Done():
		return hello, context.Cause(ctx)
	}
	clock, err := session.MeasureClock(limited, 0)
	if err != nil {
		return hello, err
	}
	stopped, err := m.save(ctx, o.State)
	if err != nil {
		return hello, err
	}
	// Its copies begin at the moment it was stopped: that is when the guest's clock
	// goes on.
	hello = session.Hello()
	hello.ClockNanos = clock.GuestNanos + stopped.Sub(clock.Host).Nanoseconds()
	ending, cancel := context.WithTimeout(ctx, endGrace)
	defer cancel()
	return hello, m.Quit(ending)
}

// awaitAgent waits until the machine has booted. Its error is a *hangError when
// that takes too long.
func awaitAgent(ctx context.Context, m *qemuMachine, timeout time.Duration) (*agentclient.Session, error) {
	hang := &hangError{timeout: timeout}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, hang)
	defer cancel()
	session, err := agentclient.NewSession(limited, m.Channel())
	switch {
	case err == nil:
		return session, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case limited.Err() != nil:
		return nil, hang
	case errors.Is(err, agentclient.ErrClosed):
		select {
		case <-m.Done():
			return nil, fmt.Errorf("the machine ended: %s", m.End().Detail)
		case <-time.After(endGrace):
		}
	}
	return nil, err
}

// warmUp runs a container to its end and lets the agent forget it.
func warmUp(ctx context.Context, c *agentclient.Client, warm LaunchContainer) error {
	entropy, err := freshEntropy()
	if err != nil {
		return err
	}
	_, err = c.Start(ctx, warm.ID, agentproto.InitProcess, agentproto.StartRequest{
		Machine:   &agentproto.Machine{TimeUnixNano: time.Now().UnixNano(), Entropy: entropy},
		Container: &warm.Guest, Process: warm.Process,
	})
	if err != nil {
		return err
	}
	for _, fd := range []int{1, 2} {
		out, err := c.Output(ctx, warm.ID, agentproto.InitProcess, fd, 0)
		if err != nil {
			return err
		}
		said, err := io.ReadAll(io.LimitReader(out, consoleQuoteBytes))
		if err == nil {
			err = out.Finish()
		}
		out.Close()
		if err != nil {
			return err
		}
		if len(said) > 0 {
			return fmt.Errorf("it says %q", agentclient.Printable(string(said), consoleQuoteLine))
		}
	}
	status, err := c.Wait(ctx, warm.ID, agentproto.InitProcess)
	if err != nil {
		return err
	}
	if status.Code != 0 {
		return fmt.Errorf("its command ended with status %d", status.Code)
	}
	return c.Forget(ctx, warm.ID, agentproto.InitProcess)
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	max int
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	if over := l.buf.Len() - l.max; over > 0 {
		l.buf.Next(over)
	}
	return len(p), nil
}

func (l *lastBytes) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.buf.Bytes())
}
