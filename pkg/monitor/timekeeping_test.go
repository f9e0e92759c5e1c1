package monitor

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

// fakeWatch tells when the test does.
type fakeWatch struct {
	now    chan struct{}
	closed chan struct{}
}

func (w *fakeWatch) wait() error {
	select {
	case <-w.now:
		return nil
	case <-w.closed:
		return os.ErrClosed
	}
}

func (w *fakeWatch) Close() error {
	close(w.closed)
	return nil
}

func TestKeepTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		caps []string
		kept bool
	}{
		{"ordinary", []string{"CAP_CHOWN"}, true},
		{"may set the clock itself", []string{"CAP_CHOWN", "CAP_SYS_TIME"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, untilSignal)
			h.ctr().Process.OCI.Capabilities = &specs.LinuxCapabilities{Bounding: tt.caps}
			began := time.Now()
			h.agent.ClockNanos = func() int64 { return int64(time.Hour + time.Since(began)) }
			watch := &fakeWatch{make(chan struct{}), make(chan struct{})}
			watched := make(chan time.Duration, 1)
			h.tune = func(s *supervisor) {
				s.watchClock = func(interval time.Duration) (clockWatch, error) {
					watched <- interval
					return watch, nil
				}
			}
			h.run()
			if tt.kept {
				if got := <-watched; got != clockInterval {
					t.Errorf("it is looked at every %s, want %s", got, clockInterval)
				}
				watch.now <- struct{}{}
				eventually(t, "the guest is told the time", func() bool { return len(h.agent.Clocks()) == 1 })
				c := h.agent.Clocks()[0]
				// When the guest's clock was an hour, it was when the test began.
				off := time.Duration(c.TimeUnixNano - (c.ClockNanos - int64(time.Hour)) - began.UnixNano()).Abs()
				if off > time.Duration(c.ErrorNanos) {
					t.Errorf("the time told is off by %s, which is more than the %s it may be", off, time.Duration(c.ErrorNanos))
				}
				watch.now <- struct{}{}
				eventually(t, "and again", func() bool { return len(h.agent.Clocks()) == 2 })
			}
			Kill(t.Context(), h.files.AttachSocket(), testID, 15, true)
			h.wait()
			if !tt.kept {
				if len(watched) != 0 || len(h.agent.Clocks()) != 0 {
					t.Error("its clock was kept")
				}
				return
			}
			select {
			case <-watch.closed:
			default:
				t.Error("the watch is open after the end")
			}
		})
	}
}

// An agent that refuses, as one that has another clock to mind, loses nothing but
// the time.
func TestKeepTimeRefused(t *testing.T) {
	h := newHarness(t, untilSignal)
	asked := make(chan struct{}, 10)
	h.agent.Intercept = func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op != agentproto.OpClock {
			return false
		}
		agenttest.Reply(st, nil, &agentproto.Error{Code: agentproto.ErrInternal, Message: "no"})
		asked <- struct{}{}
		return true
	}
	watch := &fakeWatch{make(chan struct{}), make(chan struct{})}
	h.tune = func(s *supervisor) {
		s.watchClock = func(time.Duration) (clockWatch, error) { return watch, nil }
	}
	h.run()
	for range 2 {
		watch.now <- struct{}{}
		<-asked
	}
	Kill(t.Context(), h.files.AttachSocket(), testID, 15, true)
	if x := h.wait(); x.ExitCode != 143 {
		t.Errorf("exit record %+v, want 143", x)
	}
}

func TestClockTimer(t *testing.T) {
	w, err := newClockTimer(time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := w.wait(); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	if w, err = newClockTimer(time.Hour); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- w.wait() }()
	select {
	case err := <-ended:
		t.Fatalf("wait = %v within an hour", err)
	case <-time.After(20 * time.Millisecond):
	}
	w.Close()
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("wait = %v after the close, want os.ErrClosed", err)
	}
}
