package monitor

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.agent.ClockNanos = func() int64 { return int64(time.Hour) }
	h.run()
	m := <-h.starts
	socket := h.files.AttachSocket()
	var refused *RefusedError
	if err := Unpause(t.Context(), socket, testID); !errors.As(err, &refused) || !strings.Contains(err.Error(), "web is not paused") {
		t.Errorf("Unpause = %v of one that runs", err)
	}
	for range 2 { // again and again
		if err := Pause(t.Context(), socket, testID); err != nil {
			t.Fatal(err)
		}
		if st := h.status(); st.State != statusPaused || !m.paused.Load() {
			t.Errorf("state %s, machine paused: %t", st.State, m.paused.Load())
		}
		if err := Pause(t.Context(), socket, testID); !errors.As(err, &refused) || !strings.Contains(err.Error(), "paused already") {
			t.Errorf("a second Pause = %v", err)
		}
		clocks := len(h.agent.Clocks())
		if err := Unpause(t.Context(), socket, testID); err != nil {
			t.Fatal(err)
		}
		if st := h.status(); st.State != statusRunning || m.paused.Load() {
			t.Errorf("state %s, machine paused: %t", st.State, m.paused.Load())
		}
		if n := len(h.agent.Clocks()); n != clocks+1 {
			t.Errorf("the clock was set %d times on the way, want once", n-clocks)
		}
	}
	Kill(t.Context(), socket, testID, 15, true)
	h.wait()
}

// What ends a paused container lets its machine go on first: its processes are to
// hear of it.
func TestEndsWhilePaused(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, h *harness) error
		code int
	}{
		{"stop", func(t *testing.T, h *harness) error {
			return Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{})
		}, 143},
		{"kill", func(t *testing.T, h *harness) error {
			return Kill(t.Context(), h.files.AttachSocket(), testID, 9, true)
		}, 137},
		{"asked to end", func(_ *testing.T, h *harness) error {
			h.cancel()
			return nil
		}, 143},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, untilSignal)
			h.run()
			m := <-h.starts
			if err := Pause(t.Context(), h.files.AttachSocket(), testID); err != nil {
				t.Fatal(err)
			}
			if err := tt.end(t, h); err != nil {
				t.Error(err)
			}
			if x := h.wait(); x.ExitCode != tt.code || m.paused.Load() {
				t.Errorf("exit record %+v, want %d; machine paused: %t", x, tt.code, m.paused.Load())
			}
		})
	}
}

func TestPauseFails(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.run()
	m := <-h.starts
	m.stuck = errors.New("no answer")
	if err := Pause(t.Context(), h.files.AttachSocket(), testID); err == nil || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("Pause = %v", err)
	}
	if st := h.status(); st.State != statusRunning {
		t.Errorf("state %s after a pause that failed", st.State)
	}
	Kill(t.Context(), h.files.AttachSocket(), testID, 15, true)
	h.wait()
}
