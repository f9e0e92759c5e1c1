package monitor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"time"

	"vpod/pkg/timing"
)

// machine is a started virtual machine, as the monitor sees it. Its methods may
// be called from several goroutines.
type machine interface {
	// Channel is the host's end of the agent's port. The caller closes it.
	Channel() net.Conn
	// Console is what the guest's serial port prints, until the machine's end.
	// It must be read all the time.
	Console() io.Reader
	// Ready waits until the machine's helpers serve; it says why when one does not.
	Ready(ctx context.Context) error
	// Resumed is when a restored machine began to run, once it is ready: at, or later
	// by no more than within. It is zero for one that booted.
	Resumed() (at time.Time, within time.Duration)
	// PID is the process's id.
	PID() int
	// Pause stops the machine's processors; Continue lets them go on. Either does
	// nothing to a machine that is so already.
	Pause(ctx context.Context) error
	Continue(ctx context.Context) error
	// Quit asks the machine to end and waits until it is gone or ctx ends.
	Quit(ctx context.Context) error
	// Kill ends the machine and its helpers and waits until they are gone.
	Kill()
	// Done is closed when the machine and its helpers are gone.
	Done() <-chan struct{}
	// End says how it ended; valid once Done is closed.
	End() machineEnd
	// Usage is the processor time of QEMU and its helpers so far.
	Usage() []timing.Usage
}

// startMachine starts the machine described by l. Its error says what cannot be
// run and what to do.
type startMachine func(ctx context.Context, l *Launch, record *timing.Recorder, log *slog.Logger) (machine, error)

// endCause is why a machine is gone.
type endCause int

const (
	endAsked    endCause = iota // Quit or Kill
	endPanic                    // the guest's kernel reported a panic
	endReset                    // the guest reset itself
	endPowerOff                 // the guest switched itself off
	endKilled                   // a signal ended QEMU
	endFailed                   // QEMU gave up, or a helper it cannot do without
)

// machineEnd is how a machine ended.
type machineEnd struct {
	Cause  endCause
	Detail string // for people: a signal's name, QEMU's last words
}
