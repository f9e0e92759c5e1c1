// Package stopwatch measures the parts of what the agent does for a host that asks
// where the time goes. Everything may be called on a nil *Watch, and then does
// nothing: for a host that does not ask.
package stopwatch

import (
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// Watch measures one thing after another. One goroutine has it at a time.
type Watch struct {
	last time.Time
	laps []agentproto.Lap
}

// Start returns a Watch that runs if that is wanted, else nil.
func Start(wanted bool) *Watch {
	if !wanted {
		return nil
	}
	return &Watch{last: time.Now(), laps: make([]agentproto.Lap, 0, 16)}
}

// SinceBoot returns a Watch whose first lap is all the time since the kernel's start.
func SinceBoot(what string) *Watch {
	w := &Watch{last: time.Now()}
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) == nil {
		w.laps = []agentproto.Lap{{What: what, Nanos: ts.Nano()}}
	}
	return w
}

// Lap notes that what has been done since the last one.
func (w *Watch) Lap(what string) {
	if w == nil {
		return
	}
	now := time.Now()
	w.laps = append(w.laps, agentproto.Lap{What: what, Nanos: int64(now.Sub(w.last))})
	w.last = now
}

// Laps returns what was noted.
func (w *Watch) Laps() []agentproto.Lap {
	if w == nil {
		return nil
	}
	return w.laps
}
