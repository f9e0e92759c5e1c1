package monitor

import (
	"math"
	"reflect"
	"slices"
	"testing"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/timing"
)

// whats lists what a record's marks name.
func whats(rec *timing.Record) []string {
	var list []string
	if rec != nil {
		for _, m := range rec.Marks {
			list = append(list, m.What)
		}
	}
	return list
}

// inOrder fails the test unless all of want are in got, in this order.
func inOrder(t *testing.T, got []string, want ...string) {
	t.Helper()
	rest := got
	for _, w := range want {
		i := slices.Index(rest, w)
		if i < 0 {
			t.Errorf("%q is not where it should be in %q", w, got)
			return
		}
		rest = rest[i+1:]
	}
}

func TestTiming(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.agent.Laps = []agentproto.Lap{{What: "furnish"}, {What: "execute"}}
	h.launch.Timing = true
	h.ctr().Restart = container.RestartPolicy{Name: "always"}
	h.tune = func(s *supervisor) { s.record = timing.New(timing.Monitor) }
	h.start()
	h.expect(ReportReady)
	a := h.attach(Streams{})
	if _, err := h.conn.Write([]byte(GoLine)); err != nil {
		t.Fatal(err)
	}
	r := h.expect(ReportStarted)
	inOrder(t, whats(r.Timing), "begin the session with the agent", "the machine is ready", "get the request", "furnish", "execute", "the process is started", "write down that it runs")
	if !h.agent.Starts()[0].Timing {
		t.Error("the agent was not asked")
	}
	if r.Timing == nil || len(r.Timing.Usage) != 2 || r.Timing.Usage[0].Process != timing.Monitor || r.Timing.Usage[1].Process != timing.QEMU {
		t.Errorf("report %+v, want what monitor and QEMU used", r.Timing)
	}

	if err := Kill(t.Context(), h.files.AttachSocket(), testID, 15, false); err != nil {
		t.Fatal(err)
	}
	a.wait(t)
	inOrder(t, whats(a.exit.Timing), "the process runs, and ends", "drain its output", "shut the guest down", "end QEMU", "write the exit record")
	if slices.Contains(whats(a.exit.Timing), "the process is started") {
		t.Error("the exit tells again what was reported")
	}

	// The second run is nobody's.
	eventually(t, "a second run", func() bool { return len(h.agent.Starts()) == 2 })
	if h.agent.Starts()[1].Timing {
		t.Error("the agent was asked for the second run")
	}
	eventually(t, "a second process", func() bool { return h.status().State == statusRunning })
	b := h.attach(Streams{})
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
		t.Fatal(err)
	}
	b.wait(t)
	if b.exit.Timing != nil {
		t.Errorf("the second run's exit tells %q", whats(b.exit.Timing))
	}
	if x := h.wait(); x.Timing != nil {
		t.Errorf("exit.json holds %+v", x.Timing)
	}
}

func TestTimingOfFailedStart(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.agent.StartError = &agentproto.Error{Code: agentproto.ErrNotFound, Message: "no such command"}
	h.tune = func(s *supervisor) { s.record = timing.New(timing.Monitor) }
	h.start()
	h.expect(ReportReady)
	if _, err := h.conn.Write([]byte(GoLine)); err != nil {
		t.Fatal(err)
	}
	inOrder(t, whats(h.expect(ReportFailed).Timing), "the process is started", "give the start up")
	h.wait()
}

func TestNobodyAsksForTiming(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} })
	h.agent.Laps = []agentproto.Lap{{What: "furnish"}}
	h.start()
	h.expect(ReportReady)
	a := h.attach(Streams{})
	if _, err := h.conn.Write([]byte(GoLine)); err != nil {
		t.Fatal(err)
	}
	if r := h.expect(ReportStarted); r.Timing != nil || h.agent.Starts()[0].Timing {
		t.Errorf("report %+v, the agent was asked: %t", r.Timing, h.agent.Starts()[0].Timing)
	}
	a.wait(t)
	if a.exit.Timing != nil {
		t.Errorf("exit tells %q", whats(a.exit.Timing))
	}
	h.wait()
}

func TestAskedMarks(t *testing.T) {
	lap := func(what string, nanos int64) agentproto.Lap { return agentproto.Lap{What: what, Nanos: nanos} }
	mark := func(what string, at int64) timing.Mark {
		return timing.Mark{By: timing.Guest, What: what, AtNanos: at}
	}
	for _, tt := range []struct {
		name string
		laps []agentproto.Lap
		want []timing.Mark
	}{
		{"none", nil, nil},
		{
			"in the middle", []agentproto.Lap{lap("a", 20), lap("b", 40)},
			[]timing.Mark{mark("get the request", 1020), mark("a", 1040), mark("b", 1080)},
		},
		{"all of it", []agentproto.Lap{lap("a", 100)}, []timing.Mark{mark("get the request", 1000), mark("a", 1100)}},
		{"longer than it was waited for", []agentproto.Lap{lap("a", 60), lap("b", 41)}, nil},
		{"negative", []agentproto.Lap{lap("a", -1)}, nil},
		{"negative by much", []agentproto.Lap{lap("a", math.MinInt64), lap("b", 3)}, nil},
		{"long beyond counting", []agentproto.Lap{lap("a", math.MaxInt64), lap("b", math.MaxInt64), lap("c", 2)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := askedMarks(tt.laps, 1000, 1100); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("askedMarks() = %+v, want %+v", got, tt.want)
			}
		})
	}
}

// FuzzAskedMarks wants no lie of a guest to lead to marks outside the time it had.
func FuzzAskedMarks(f *testing.F) {
	f.Add(int64(1), int64(2), int64(3))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(2))
	f.Add(int64(math.MinInt64), int64(0), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, a, b, c int64) {
		const asked, answered = int64(5e9), int64(6e9)
		last := asked
		for _, m := range askedMarks([]agentproto.Lap{{Nanos: a}, {Nanos: b}, {Nanos: c}}, asked, answered) {
			if m.AtNanos < last || m.AtNanos > answered {
				t.Fatalf("laps %d, %d, %d: a mark at %d, after one at %d", a, b, c, m.AtNanos, last)
			}
			last = m.AtNanos
		}
	})
}
