package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/container"
)

// stubborn is a process that only SIGKILL ends.
func stubborn(p *agenttest.Process) agentproto.ExitStatus {
	for sig := range p.Signals {
		if sig == 9 {
			break
		}
	}
	return agentproto.ExitStatus{Code: 137, Signal: 9}
}

func TestStop(t *testing.T) {
	second := time.Second
	zero := time.Duration(0)
	for _, tt := range []struct {
		name    string
		main    func(*agenttest.Process) agentproto.ExitStatus
		options StopOptions
		code    int
		error   string
	}{
		{"its own signal", untilSignal, StopOptions{}, 128 + 15, ""},
		{"another signal", untilSignal, StopOptions{Signal: 2}, 128 + 2, ""},
		{"SIGKILL after the timeout", stubborn, StopOptions{Timeout: &zero}, 137, ""},
		{"the machine after that", func(p *agenttest.Process) agentproto.ExitStatus {
			select {} // for ever
		}, StopOptions{Timeout: &zero}, 137, "did not react to SIGKILL"},
		{"kill at once", stubborn, StopOptions{Signal: 9, Timeout: &second}, 137, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, tt.main)
			h.ctr().Restart = container.RestartPolicy{Name: "always"}
			h.tune = func(s *supervisor) { s.limits.kill = 200 * time.Millisecond }
			h.run()
			if err := Stop(t.Context(), h.files.AttachSocket(), testID, tt.options); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(h.files.Exit()); err != nil {
				t.Errorf("stop answered before the record was there: %v", err)
			}
			x := h.wait()
			if x.ExitCode != tt.code || !x.StoppedByUser || !strings.Contains(x.Error, tt.error) || (tt.error == "") != (x.Error == "") {
				t.Errorf("exit record %+v", x)
			}
		})
	}
}

func TestStopsAtOnce(t *testing.T) {
	h := newHarness(t, stubborn)
	h.run()
	var wg sync.WaitGroup
	long, zero := time.Hour, time.Duration(0)
	for range 5 {
		wg.Go(func() {
			if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{Timeout: &long}); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "status stopping", func() bool { return h.status().State == "stopping" })
	// A later, impatient one is not held up by those.
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{Timeout: &zero}); err != nil {
		t.Error(err)
	}
	wg.Wait()
	h.wait()
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); !errors.Is(err, ErrGone) {
		t.Errorf("Stop of a container that has ended = %v, want ErrGone", err)
	}
}

// TestAgentThatDoesNotAnswer checks that a stop needs no answer of the agent's.
func TestAgentThatDoesNotAnswer(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { <-release; return agentproto.ExitStatus{} })
	h.agent.Intercept = func(req agentproto.Request, _ *yamux.Stream) bool {
		if req.Op == agentproto.OpSignal {
			<-release
			return true
		}
		return false
	}
	h.tune = func(s *supervisor) { s.limits.kill = 100 * time.Millisecond }
	h.run()
	zero := time.Duration(0)
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{Timeout: &zero}); err != nil {
		t.Fatal(err)
	}
	if x := h.wait(); x.ExitCode != 137 || x.Error == "" {
		t.Errorf("exit record %+v", x)
	}
}

func TestStopBeforeTheStart(t *testing.T) {
	t.Run("while it boots", func(t *testing.T) {
		h := newHarness(t, nil)
		h.boot = func(int, *fakeMachine) error { return nil } // never answers
		h.start()
		<-h.starts
		if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
			t.Fatal(err)
		}
		contains(t, "report", h.expect(ReportFailed).Error, errStopped.Error())
		if x := h.wait(); x.ExitCode != 125 || x.Error != errStopped.Error() || !x.StoppedByUser {
			t.Errorf("exit record %+v", x)
		}
	})
	t.Run("while it waits for the word", func(t *testing.T) {
		h := newHarness(t, nil)
		h.start()
		h.expect(ReportReady)
		if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
			t.Fatal(err)
		}
		h.expect(ReportFailed)
		if x := h.wait(); x.Error != errStopped.Error() {
			t.Errorf("exit record %+v", x)
		}
	})
}

func TestTermination(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.ctr().Restart = container.RestartPolicy{Name: "unless-stopped"}
	h.run()
	h.cancel() // as SIGTERM does
	if x := h.wait(); x.ExitCode != 128+15 || x.StoppedByUser || x.Error != "" {
		t.Errorf("exit record %+v", x)
	}
}

func TestKill(t *testing.T) {
	got := make(chan int, 10)
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		for sig := range p.Signals {
			got <- sig
			if sig == 9 {
				break
			}
		}
		return agentproto.ExitStatus{Code: 137, Signal: 9}
	})
	h.ctr().Restart = container.RestartPolicy{Name: "always"}
	h.run()
	path := h.files.AttachSocket()
	if err := Kill(t.Context(), path, testID, int(syscall.SIGHUP), false); err != nil || <-got != 1 {
		t.Errorf("Kill(SIGHUP) = %v", err)
	}
	for _, sig := range []int{0, -1, 65} {
		var refused *RefusedError
		if err := Kill(t.Context(), path, testID, sig, false); !errors.As(err, &refused) {
			t.Errorf("Kill(%d) = %v, want a refusal", sig, err)
		}
	}
	if err := Kill(t.Context(), path, testID, 9, true); err != nil {
		t.Fatal(err)
	}
	if x := h.wait(); x.ExitCode != 137 || !x.StoppedByUser || x.RestartCount != 0 {
		t.Errorf("exit record %+v", x)
	}
}

func TestRestarts(t *testing.T) {
	var mu sync.Mutex
	runs := 0
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		mu.Lock()
		defer mu.Unlock()
		runs++
		p.Stdout.WriteString("run\n")
		return agentproto.ExitStatus{Code: runs}
	})
	h.ctr().Restart = container.RestartPolicy{Name: "on-failure", MaxRetries: 3}
	h.start()
	h.expect(ReportReady)
	a := h.attach(Streams{})
	h.goAhead()
	if a.wait(t); a.exit.ExitCode != 1 || a.out.String() != "run\n" || !a.exit.Restarts {
		t.Errorf("the client of the first run got %+v and %q", a.exit, a.out.String())
	}
	x := h.wait()
	if x.ExitCode != 4 || x.RestartCount != 3 || len(h.starts) != 4 {
		t.Errorf("exit record %+v after %d starts", x, len(h.starts))
	}
	if out, _ := h.log(); out != strings.Repeat("run\n", 4) {
		t.Errorf("log holds %q", out)
	}
}

func TestStopDuringBackoff(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{Code: 7} })
	h.ctr().Restart = container.RestartPolicy{Name: "always"}
	h.tune = func(s *supervisor) {
		s.restartIn = func(time.Duration, time.Duration) time.Duration { return time.Hour }
	}
	h.start()
	h.expect(ReportReady)
	a := h.attach(Streams{})
	h.goAhead()
	a.wait(t) // told after the status says so
	if s := h.status(); s.State != "restarting" || s.RestartCount != 1 || s.ExitCode != 7 || s.QEMUPID != 0 {
		t.Errorf("status %+v", s)
	}
	b := h.attach(Streams{})
	var refused *RefusedError
	if err := Kill(t.Context(), h.files.AttachSocket(), testID, 1, false); !errors.As(err, &refused) {
		t.Errorf("Kill = %v, want a refusal", err)
	}
	var unavailable *agentproto.Error
	_, err := agentclient.New(agentclient.Dial(h.files.AgentSocket())).List(t.Context(), testID)
	if !errors.As(err, &unavailable) || unavailable.Code != agentclient.ErrUnavailable {
		t.Errorf("List = %v, want unavailable", err)
	}
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
		t.Fatal(err)
	}
	if b.wait(t); b.exit.ExitCode != 7 || b.exit.Restarts {
		t.Errorf("the client that waited for the next run got %+v, want the end", b.exit)
	}
	if x := h.wait(); x.ExitCode != 7 || !x.StoppedByUser || x.RestartCount != 0 {
		t.Errorf("exit record %+v", x)
	}
}

func TestRestartThatFails(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{Code: 1} })
	h.ctr().Restart = container.RestartPolicy{Name: "on-failure", MaxRetries: 2}
	n := 0
	h.boot = func(_ int, m *fakeMachine) error {
		if n++; n == 2 {
			return errors.New("no memory")
		}
		go m.agent.Serve(m.guest)
		return nil
	}
	h.run()
	if x := h.wait(); x.ExitCode != 1 || x.RestartCount != 2 || n != 3 {
		t.Errorf("exit record %+v after %d starts", x, n)
	}
}

func TestNextBackoff(t *testing.T) {
	for _, tt := range []struct {
		name            string
		ran, last, want time.Duration
	}{
		{"first", 0, 0, 100 * time.Millisecond},
		{"second", time.Second, 100 * time.Millisecond, 200 * time.Millisecond},
		{"capped", 0, 50 * time.Second, time.Minute},
		{"stays there", 0, time.Minute, time.Minute},
		{"long enough a run", 10 * time.Second, time.Minute, 100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextBackoff(tt.ran, tt.last); got != tt.want {
				t.Errorf("nextBackoff(%s, %s) = %s, want %s", tt.ran, tt.last, got, tt.want)
			}
		})
	}
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &supervisor{stopping: make(chan struct{})}
		began := time.Now()
		if !s.sleep(time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("sleep took %s", time.Since(began))
		}
		time.AfterFunc(time.Second, func() { close(s.stopping) })
		if s.sleep(time.Hour) || time.Since(began) != time.Minute+time.Second {
			t.Errorf("a stop came after %s", time.Since(began))
		}
	})
}

func TestHelloRefused(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.run()
	for _, tt := range []struct {
		name, line, want string
	}{
		{"version", `{"version":7,"op":"attach","container":"` + testID + `"}`, "speaks version 1, this vpod version 7"},
		{"container", `{"version":1,"op":"attach","container":"other"}`, "does not run in this machine"},
		{"operation", `{"version":1,"op":"dance","container":"` + testID + `"}`, "unknown operation"},
		{"garbage", `hello`, "not a greeting"},
		{"too long", `{"version":1,"op":"` + strings.Repeat("x", maxLine) + `"}`, "not a greeting"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := dialRaw(t, h.files.AttachSocket())
			go conn.Write([]byte(tt.line + "\n"))
			var reply HelloReply
			if err := json.NewDecoder(conn).Decode(&reply); err != nil {
				t.Fatal(err)
			}
			contains(t, "answer", reply.Error, tt.want)
		})
	}
	if _, err := Attach(context.Background(), h.files.AttachSocket(), "other", Streams{}); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("Attach to another container = %v", err)
	}
	Kill(t.Context(), h.files.AttachSocket(), testID, 9, true)
	h.wait()
}
