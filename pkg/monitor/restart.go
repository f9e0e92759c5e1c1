package monitor

import "time"

// Back-off between restarts, as Docker has it: doubling from the shortest to the
// longest, forgotten after a run that was long enough.
const (
	backoffFirst = 100 * time.Millisecond
	backoffLast  = time.Minute
	backoffReset = 10 * time.Second
)

// nextBackoff returns how long to wait after a run that lasted for ran; last is
// the wait before that run, 0 for none.
func nextBackoff(ran, last time.Duration) time.Duration {
	if last == 0 || ran >= backoffReset {
		return backoffFirst
	}
	return min(2*last, backoffLast)
}

// sleep waits for d and reports false when a stop came first.
func (s *supervisor) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
	select {
	case <-s.stopping:
		return false
	default:
		return true
	}
}
