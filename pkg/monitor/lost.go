package monitor

import (
	"errors"
	"fmt"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
)

// Exit codes of containers that did not end by their first process's own.
const (
	exitOwnFailure    = 125
	exitNotExecutable = 126
	exitNotFound      = 127
	exitKilled        = 128 + 9
	exitTimedOut      = 255 // as conmon has it
)

// errMachineGone is the cause of contexts that a machine's end cancels.
var errMachineGone = errors.New("its machine is gone")

// explainEnd says why a machine is gone that nobody asked to end.
func (s *supervisor) explainEnd(end machineEnd) error {
	raw := s.console.tail(consoleQuoteBytes)
	quote := quoteConsole(raw)
	panicked := panicLine(raw)
	detail := ""
	if end.Detail != "" {
		detail = ": " + end.Detail
	}
	switch {
	case end.Cause == endPanic || end.Cause == endReset && panicked != "":
		if panicked != "" {
			detail = ": " + panicked
		}
		return fmt.Errorf("the guest's kernel panicked%s%s", detail, quote)
	case end.Cause == endReset:
		return fmt.Errorf("the guest reset its machine%s", quote)
	case end.Cause == endPowerOff:
		return fmt.Errorf("the guest switched its machine off%s", quote)
	case end.Cause == endKilled:
		return fmt.Errorf("QEMU was killed%s", detail)
	case end.Cause == endFailed:
		return fmt.Errorf("QEMU gave up%s", detail)
	}
	return errMachineGone
}

// explainLost says why a machine was lost while its container ran, and makes
// sure that it is gone. err is what talking to the agent gave.
func (s *supervisor) explainLost(r *run, err error) (exitCode int, why error) {
	r.mu.Lock()
	failed := r.failed
	r.mu.Unlock()
	var refused *agentproto.Error
	switch {
	case failed != nil:
	case errors.Is(err, agentclient.ErrProtocol):
		failed = err
	case errors.As(err, &refused): // it denies knowing what it has started
		failed = fmt.Errorf("%w: %w", agentclient.ErrProtocol, err)
	}
	if failed == nil && errors.Is(r.session.Err(), agentclient.ErrProtocol) {
		failed = r.session.Err()
	}
	ended := failed == nil
	if ended {
		select {
		case <-r.machine.Done():
		case <-time.After(endGrace):
			ended = false
		}
	}
	r.machine.Kill()
	<-r.consoleDone
	r.mu.Lock()
	destroyed := r.destroyed
	r.mu.Unlock()
	switch {
	case destroyed != "":
		return exitKilled, errors.New(destroyed)
	case failed != nil:
		return exitOwnFailure, fmt.Errorf("its machine was switched off: %w", failed)
	case !ended:
		return exitOwnFailure, fmt.Errorf("its machine was switched off: the agent hung up (%w)%s", err, quoteConsole(s.console.tail(consoleQuoteBytes)))
	}
	return exitOwnFailure, s.explainEnd(r.machine.End())
}
