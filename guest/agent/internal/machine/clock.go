package machine

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// stepFrom is how far off a clock must be to be set at once, as after a sleep of the
// host. NTP's limit (RFC 5905, STEPT). Less is made up for at the kernel's 500 us in a
// second (adjtime(3)), for programs do not expect a clock to go back.
const stepFrom = 128 * time.Millisecond

// KeepTime brings the wall clock back to the host's. A clock that is off by no more
// than the request may be is left alone.
func KeepTime(r *agentproto.ClockRequest) (agentproto.ClockReply, error) {
	reply := agentproto.ClockReply{ClockNanos: MonotonicNanos()}
	if r.TimeUnixNano == 0 {
		return reply, nil
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return reply, fmt.Errorf("read the clock: %w", err)
	}
	behind := r.TimeUnixNano + (MonotonicNanos() - r.ClockNanos) - now.Nano()
	reply.BehindNanos = behind
	switch correctionOf(time.Duration(behind), time.Duration(r.ErrorNanos)) {
	case step:
		reply.Stepped = true
		to := unix.NsecToTimespec(now.Nano() + behind)
		if err := unix.ClockSettime(unix.CLOCK_REALTIME, &to); err != nil {
			return reply, fmt.Errorf("set the clock to %s: %w", time.Unix(to.Unix()).UTC().Format(time.RFC3339), err)
		}
	case slew:
		// In place of what is left of the last correction.
		if _, err := unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_OFFSET_SINGLESHOT, Offset: behind / 1000}); err != nil {
			return reply, fmt.Errorf("adjust the clock by %s: %w", time.Duration(behind), err)
		}
	}
	return reply, nil
}

// correction is how a clock is brought back.
type correction int

const (
	leave correction = iota
	slew
	step
)

// correctionOf chooses for a clock that is behind (negative: ahead) by so much, known
// to within margin.
func correctionOf(behind, margin time.Duration) correction {
	switch off := behind.Abs(); {
	case off <= margin.Abs():
		return leave
	case off < stepFrom:
		return slew
	}
	return step
}
