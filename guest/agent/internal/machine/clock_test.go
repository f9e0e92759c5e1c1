package machine

import (
	"math"
	"testing"
	"time"

	"vpod/pkg/agentproto"
)

func TestCorrectionOf(t *testing.T) {
	for _, tt := range []struct {
		name           string
		behind, margin time.Duration
		want           correction
	}{
		{"right", 0, time.Millisecond, leave},
		{"as right as can be known", -4 * time.Millisecond, 4 * time.Millisecond, leave},
		{"a little behind", 5 * time.Millisecond, 4 * time.Millisecond, slew},
		{"a little ahead", -127 * time.Millisecond, 4 * time.Millisecond, slew},
		{"off, but nobody knows", 500 * time.Millisecond, time.Second, leave},
		{"the host has slept", 8 * time.Hour, 4 * time.Millisecond, step},
		{"the host's clock was put back", -time.Hour, 4 * time.Millisecond, step},
		{"absurd", math.MinInt64, time.Second, step},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := correctionOf(tt.behind, tt.margin); got != tt.want {
				t.Errorf("correctionOf(%s, %s) = %v, want %v", tt.behind, tt.margin, got, tt.want)
			}
		})
	}
}

// A request without a time, and one that is not off, set nothing; the tests' machine
// keeps its clock.
func TestKeepTimeReads(t *testing.T) {
	before := MonotonicNanos()
	reply, err := KeepTime(&agentproto.ClockRequest{})
	if err != nil || reply.Stepped || reply.BehindNanos != 0 || reply.ClockNanos < before || reply.ClockNanos > MonotonicNanos() {
		t.Errorf("asking: %+v, %v", reply, err)
	}
	now := time.Now()
	reply, err = KeepTime(&agentproto.ClockRequest{
		TimeUnixNano: now.Add(-time.Hour).UnixNano(), ClockNanos: MonotonicNanos(), ErrorNanos: int64(2 * time.Hour),
	})
	if err != nil || reply.Stepped || reply.BehindNanos > -int64(time.Hour-time.Minute) || reply.BehindNanos < -int64(time.Hour+time.Minute) {
		t.Errorf("an hour ahead, within two: %+v, %v", reply, err)
	}
}
