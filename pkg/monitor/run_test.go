package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/filelock"
)

func TestRunToTheEnd(t *testing.T) {
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		p.Stdout.WriteString("out\n")
		p.Stderr.WriteString("err\n")
		return agentproto.ExitStatus{Code: 3, OOMKilled: true}
	})
	h.launch.Guest.Hostname = "web"
	h.start()
	h.expect(ReportReady)
	if s := h.statusWhen(func(s Status) bool { return s.ReadyAfter != 0 }); s.State != "starting" || s.QEMUPID != 4242 || s.MonitorPID != os.Getpid() || s.Kernel != "6.12-test" || s.ReadyAfter == 0 {
		t.Errorf("status before go: %+v", s)
	}
	if ops := h.agent.Ops(); slices.ContainsFunc(ops, func(op agentproto.Op) bool { return op != agentproto.OpHello }) {
		t.Errorf("asked of the agent before go: %v", ops)
	}
	h.goAhead()
	x := h.wait()
	if x.ExitCode != 3 || !x.OOMKilled || x.Error != "" || x.StoppedByUser || x.StartedAt.IsZero() || x.FinishedAt.Before(x.StartedAt) {
		t.Errorf("exit record %+v", x)
	}
	if out, errOut := h.log(); out != "out\n" || errOut != "err\n" {
		t.Errorf("log holds %q and %q", out, errOut)
	}
	req := h.agent.Starts()[0]
	if req.Machine == nil || req.Machine.Hostname != "web" || len(req.Machine.Entropy) != 64 || time.Since(time.Unix(0, req.Machine.TimeUnixNano)) > time.Minute || req.Container == nil {
		t.Errorf("start request %+v", req)
	}
	if ops := h.agent.Ops(); !slices.Contains(ops, agentproto.OpShutdown) {
		t.Errorf("operations %v, want a shutdown", ops)
	}
	if _, err := h.report.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the report channel is still open: %v", err)
	}
}

// TestRecordBeforeRelease checks the order of the end: whoever sees the end of
// the container finds its record, and the lock free.
func TestRecordBeforeRelease(t *testing.T) {
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		p.Stdout.WriteString(strings.Repeat("x", 1<<20))
		return agentproto.ExitStatus{Code: 1}
	})
	h.start()
	h.expect(ReportReady)
	held := make(chan bool, 1)
	a := h.attach(Streams{})
	go func() {
		<-a.done
		_, err := os.Stat(h.files.Exit())
		if err != nil {
			t.Error(err)
		}
		is, err := filelock.Held(h.files.LiveLock())
		if err != nil {
			t.Error(err)
		}
		held <- is
	}()
	h.goAhead()
	if <-held {
		t.Error("a client was told of the end while the lock was held")
	}
	if a.failed != nil || a.exit.ExitCode != 1 || len(a.out.String()) != 1<<20 {
		t.Errorf("client got %d bytes, %+v, %v", len(a.out.String()), a.exit, a.failed)
	}
	h.wait()
}

func TestStartErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		fail *agentproto.Error
		code int
		want string
	}{
		{"not in PATH", []string{"nope"}, &agentproto.Error{Code: agentproto.ErrNotFound, Message: "x"}, 127,
			`container web: executable file "nope" not found in $PATH`},
		{"no such file", []string{"/nope"}, &agentproto.Error{Code: agentproto.ErrNotFound, Message: "/nope: no such file or directory"}, 127,
			"container web: /nope: no such file or directory"},
		{"not executable", []string{"/etc"}, &agentproto.Error{Code: agentproto.ErrNotExecutable, Message: "/etc: permission denied"}, 126,
			"container web: /etc: permission denied"},
		{"no user", []string{"id"}, &agentproto.Error{Code: agentproto.ErrNoUser, Message: "unable to find user bob"}, 126,
			"container web: unable to find user bob"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			h.agent.StartError = tt.fail
			h.ctr().Process.OCI.Args = tt.args
			h.ctr().Restart = container.RestartPolicy{Name: "always"} // does not apply to a container that never ran
			h.ctr().AutoRemove = true                                 // the command that was told removes it
			h.launch.ReleaseCommand = []string{"/bin/touch", h.files.Data + "/released"}
			h.start()
			h.expect(ReportReady)
			h.conn.Write([]byte(GoLine))
			r := h.expect(ReportFailed)
			if r.Error != tt.want || r.ExitCode != tt.code {
				t.Errorf("report %+v, want code %d and %q", r, tt.code, tt.want)
			}
			x := h.wait()
			if x.ExitCode != tt.code || "container web: "+x.Error != tt.want || !x.StartedAt.IsZero() {
				t.Errorf("exit record %+v", x)
			}
			if _, err := os.Stat(h.files.Data + "/released"); err == nil {
				t.Error("released although the command knows")
			}
		})
	}
}

func TestStarterGone(t *testing.T) {
	h := newHarness(t, nil)
	released := filepath.Join(h.files.Data, "released")
	h.ctr().AutoRemove = true
	h.launch.ReleaseCommand = []string{"/bin/touch", released}
	h.start()
	h.expect(ReportReady)
	h.conn.Close()
	x := h.wait()
	if x.ExitCode != 125 || x.Error != errStarterGone.Error() {
		t.Errorf("exit record %+v", x)
	}
	if len(h.agent.Starts()) != 0 {
		t.Error("the process was started")
	}
	eventually(t, "the release command", func() bool { _, err := os.Stat(released); return err == nil })
}

func TestBootFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		boot   func(n int, m *fakeMachine) error
		starts int
		want   []string
	}{
		{"no QEMU", func(int, *fakeMachine) error { return errors.New("QEMU cannot be run: install it") }, 0,
			[]string{"container web: QEMU cannot be run: install it"}},
		{"QEMU gives up", func(_ int, m *fakeMachine) error {
			go m.stop(machineEnd{Cause: endFailed, Detail: "no such disk"})
			return nil
		}, 1, []string{"QEMU gave up: no such disk"}},
		{"panic", func(_ int, m *fakeMachine) error {
			go func() {
				fmt.Fprint(m.printer, "[    0.1] booting\r\n[    0.2] Kernel panic - not syncing: no init\x1b[0m\r\n")
				m.stop(machineEnd{Cause: endReset})
			}()
			return nil
		}, 1, []string{"the guest's kernel panicked: Kernel panic - not syncing: no init", "  [ 0.1] booting\n  [ 0.2] Kernel"}},
		{"hang, twice", func(_ int, m *fakeMachine) error {
			go fmt.Fprint(m.printer, "Calibrating delay loop...")
			return nil
		}, 2, []string{"did not come up within 50ms, tried 2 times", "\n  Calibrating delay loop..."}},
		{"network", func(_ int, m *fakeMachine) error {
			m.ready = errors.New("connect the network: port 80 is in use")
			return nil
		}, 1, []string{"container web: connect the network: port 80 is in use"}},
		{"noise", func(_ int, m *fakeMachine) error {
			go func() {
				for {
					if _, err := m.guest.Write(make([]byte, 4096)); err != nil {
						return
					}
				}
			}()
			return nil
		}, 1, []string{"not to be trusted", "the agent broke the protocol"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			h.boot = tt.boot
			if strings.HasPrefix(tt.name, "hang") {
				h.launch.BootTimeout = 50 * time.Millisecond
			}
			h.start()
			r := h.expect(ReportFailed)
			contains(t, "report", r.Error, tt.want...)
			if r.ExitCode != 125 || len(h.starts) != tt.starts {
				t.Errorf("exit code %d after %d starts, want 125 after %d", r.ExitCode, len(h.starts), tt.starts)
			}
			if x := h.wait(); x.ExitCode != 125 || "container web: "+x.Error != r.Error {
				t.Errorf("exit record %+v", x)
			}
		})
	}
}

func TestBootRetry(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} })
	h.launch.BootTimeout = 2 * time.Second
	h.boot = func(n int, m *fakeMachine) error {
		if n > 0 {
			go m.agent.Serve(m.guest)
		}
		return nil
	}
	h.tune = func(s *supervisor) { s.launch.BootTimeout = 300 * time.Millisecond }
	h.run()
	if x := h.wait(); x.ExitCode != 0 || x.Error != "" || len(h.starts) != 2 {
		t.Errorf("exit record %+v after %d starts", x, len(h.starts))
	}
}

func TestMachineLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		print string
		end   machineEnd
		want  string
	}{
		{"panic", "Kernel panic - not syncing: Attempted to kill init!\n", machineEnd{Cause: endPanic}, "the guest's kernel panicked: Kernel panic - not syncing: Attempted to kill init!"},
		{"reset", "", machineEnd{Cause: endReset}, "the guest reset its machine; the guest's console is empty"},
		{"power off", "bye\n", machineEnd{Cause: endPowerOff}, "the guest switched its machine off; the end of the guest's console:\n  bye"},
		{"killed", "", machineEnd{Cause: endKilled, Detail: "signal KILL"}, "QEMU was killed: signal KILL"},
		{"failed", "", machineEnd{Cause: endFailed, Detail: "virtiofsd ended"}, "QEMU gave up: virtiofsd ended"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, untilSignal)
			h.run()
			m := <-h.starts
			a := h.attach(Streams{})
			eventually(t, "output", func() bool { out, _ := h.log(); return out == "up\n" })
			if tt.print != "" {
				fmt.Fprint(m.printer, tt.print)
			}
			m.stop(tt.end)
			x := h.wait()
			if x.ExitCode != 125 || !strings.HasPrefix(x.Error, tt.want) {
				t.Errorf("exit record %+v, want 125 and %q", x, tt.want)
			}
			if a.wait(t); a.exit.Error != x.Error || a.failed != nil {
				t.Errorf("client got %+v, %v", a.exit, a.failed)
			}
		})
	}
}

func TestHostileAgent(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.agent.Intercept = func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op == agentproto.OpWait {
			st.Write([]byte("\xff\xff\xff\xff"))
			return true
		}
		return false
	}
	h.run()
	x := h.wait()
	if x.ExitCode != 125 || !strings.Contains(x.Error, "machine was switched off") || !strings.Contains(x.Error, "the agent broke the protocol") {
		t.Errorf("exit record %+v", x)
	}
}

func TestTimeout(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.ctr().Timeout = 50 * time.Millisecond
	h.run()
	x := h.wait()
	if x.ExitCode != 255 || !strings.Contains(x.Error, "longer than its timeout of 50ms") || x.StoppedByUser {
		t.Errorf("exit record %+v", x)
	}
}

// TestNoisyEnd checks that output which never ends, after the process has, does
// not keep the container.
func TestNoisyEnd(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{Code: 4} })
	h.tune = func(s *supervisor) { s.limits.drain, s.limits.drainAll = 100*time.Millisecond, 300*time.Millisecond }
	h.agent.Intercept = func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op != agentproto.OpOutput {
			return false
		}
		agenttest.Reply(st, agentproto.BulkReply{}, nil)
		go io.Copy(io.Discard, st)
		for {
			if _, err := st.Write([]byte("more\n")); err != nil {
				return true
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	h.run()
	if x := h.wait(); x.ExitCode != 4 {
		t.Errorf("exit record %+v", x)
	}
}

func TestGuestThatDoesNotShutDown(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{Code: 5} })
	h.tune = func(s *supervisor) {
		s.limits.sync, s.limits.syncStop, s.limits.quit = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	}
	release := make(chan struct{})
	defer close(release)
	h.agent.Intercept = func(req agentproto.Request, _ *yamux.Stream) bool {
		if req.Op == agentproto.OpShutdown {
			<-release
			return true
		}
		return false
	}
	h.boot = func(_ int, m *fakeMachine) error {
		m.noQuit = true
		go m.agent.Serve(m.guest)
		return nil
	}
	h.run()
	if x := h.wait(); x.ExitCode != 5 || x.Error != "" {
		t.Errorf("exit record %+v", x)
	}
}

func TestSupervisorRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(l *Launch)
		want   string
	}{
		{"version", func(l *Launch) { l.Version = 99 }, "version 99"},
		{"no container", func(l *Launch) { l.Containers = nil }, "name 0 containers"},
		{"log", func(l *Launch) { l.Containers[0].Log.Path = l.DataDir }, "open container log"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			tt.change(h.launch)
			path := h.files.Launch()
			if err := writeJSON(path, h.launch, false); err != nil {
				t.Fatal(err)
			}
			lock, err := filelock.TryLock(h.files.LiveLock())
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			_, err = newSupervisor(path, nil, lock, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("newSupervisor = %v, want %q", err, tt.want)
			}
			left, _ := filepath.Glob(h.files.Run + "/*")
			left = slices.DeleteFunc(left, func(p string) bool { return strings.HasSuffix(p, ".lock") })
			if len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
