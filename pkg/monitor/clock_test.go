package monitor

import (
	"testing"
	"time"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

// What a guest is told of the time holds however long the word takes to reach it: it
// comes with what the guest's own clock was then.
func TestGuestIsToldTheTime(t *testing.T) {
	began := time.Now()
	const saved = 77_000_000_000
	tests := []struct {
		name    string
		prepare func(h *harness)
		guest   int64     // clock that is told, 0 for none
		host    time.Time // that it is told for; zero for the present
	}{
		{"booted", func(h *harness) { h.agent.ClockNanos = func() int64 { return 5_000_000_000 } }, 5_000_000_000, time.Time{}},
		{"agent without a clock", func(*harness) {}, 0, time.Time{}},
		{"from a template", func(h *harness) {
			h.giveTemplate()
			h.launch.Template.Hello.ClockNanos = saved
			h.boot = func(_ int, m *fakeMachine) error {
				m.resumed = began.Add(-3 * time.Second)
				go m.agent.Continue(m.guest)
				return nil
			}
		}, saved, began.Add(-3 * time.Second)},
		{"from a template, resumed at some time or other", func(h *harness) {
			h.giveTemplate()
			h.launch.Template.Hello.ClockNanos = saved
			h.agent.ClockNanos = func() int64 { return 5_000_000_000 }
			h.boot = func(_ int, m *fakeMachine) error {
				m.resumed, m.resumedWithin = began.Add(-3*time.Second), time.Second
				go m.agent.Continue(m.guest)
				return nil
			}
		}, 5_000_000_000, time.Time{}},
		{"from a template without a clock", func(h *harness) {
			h.giveTemplate()
			h.boot = func(_ int, m *fakeMachine) error {
				m.resumed = began.Add(-3 * time.Second)
				go m.agent.Continue(m.guest)
				return nil
			}
		}, 0, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} })
			tt.prepare(h)
			h.run()
			h.wait()
			m := h.agent.Starts()[0].Machine
			if m.ClockNanos != tt.guest {
				t.Errorf("the guest's clock is told to have been %d, want %d", m.ClockNanos, tt.guest)
			}
			told := time.Unix(0, m.TimeUnixNano)
			switch {
			case tt.host.IsZero():
				if told.Before(began) || told.After(time.Now()) {
					t.Errorf("the time is told to be %s, want the present", told)
				}
			case told.Sub(tt.host).Abs() > time.Millisecond: // taken from two clocks
				t.Errorf("the time is told to have been %s, want %s", told, tt.host)
			}
		})
	}
}
