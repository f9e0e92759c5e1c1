package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/qemu"
	"vpod/pkg/template"
)

const testTemplate = "0123456789abcdef"

// giveTemplate lets the container's machine start from a template, and returns the
// store that holds it.
func (h *harness) giveTemplate() *template.Store {
	h.t.Helper()
	store := template.NewStore(filepath.Join(h.t.TempDir(), "templates"), "boot", slog.New(slog.DiscardHandler))
	lock, err := store.Lock(h.t.Context(), testTemplate, func() {})
	if err != nil {
		h.t.Fatal(err)
	}
	defer lock.Close()
	draft, err := store.New(testTemplate)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(draft.State, []byte("saved"), 0o600); err != nil {
		h.t.Fatal(err)
	}
	ram, err := template.NewRAM()
	if err != nil {
		h.t.Fatal(err)
	}
	defer ram.Close()
	if _, err := ram.WriteString("saved"); err != nil {
		h.t.Fatal(err)
	}
	made, err := draft.Publish(template.Info{Hello: agentproto.HelloReply{Version: agentproto.Version, Kernel: "6.12-saved"}}, ram)
	if err != nil {
		h.t.Fatal(err)
	}
	h.launch.Template = &Template{Key: made.Key, RAM: made.RAM, State: made.State, Hello: made.Info.Hello}
	return store
}

// kept reports whether the template can still be started from.
func kept(store *template.Store) bool {
	_, err := store.Find(testTemplate)
	return err == nil
}

func endsAtOnce(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{Code: 4} }

func TestStartFromTemplate(t *testing.T) {
	h := newHarness(t, untilSignal)
	store := h.giveTemplate()
	h.boot = func(_ int, m *fakeMachine) error {
		go m.agent.Continue(m.guest) // nothing precedes the first stream
		return nil
	}
	h.run()
	if s := h.status(); s.Template != testTemplate || s.Kernel != "6.12-saved" {
		t.Errorf("status %+v, want template %s and the kernel it was saved with", s, testTemplate)
	}
	if ops := h.agent.Ops(); ops[0] != agentproto.OpStart {
		t.Errorf("the agent was asked %v, want the start first", ops)
	}
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
		t.Fatal(err)
	}
	h.wait()
	if len(h.starts) != 1 || !kept(store) {
		t.Errorf("%d starts, template kept: %t", len(h.starts), kept(store))
	}
}

// A machine that does not come up from its template boots, and says so.
func TestTemplateOfNoUse(t *testing.T) {
	tests := []struct {
		name string
		boot func(m *fakeMachine) error // of the first machine
		want string                     // in the notice
		kept bool
	}{
		{"cannot be opened", func(*fakeMachine) error {
			return &templateError{errors.New("open state: no such file")}
		}, "open state: no such file", false},
		{"does not load", func(m *fakeMachine) error {
			go m.stop(machineEnd{Cause: endFailed, Detail: "load of migration failed: Invalid argument"})
			return nil
		}, "load of migration failed: Invalid argument", false},
		{"agent gone", func(m *fakeMachine) error {
			go func() {
				fmt.Fprint(m.printer, "[    0.3] Kernel panic - not syncing: torn\r\n")
				m.stop(machineEnd{Cause: endPanic})
			}()
			return nil
		}, "Kernel panic - not syncing: torn", false},
		{"noise", func(m *fakeMachine) error {
			go m.guest.Write(bytes.Repeat([]byte{0xff}, 4096))
			return nil
		}, "protocol", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, endsAtOnce)
			store := h.giveTemplate()
			machines := 0
			h.boot = func(_ int, m *fakeMachine) error {
				if machines++; machines == 1 {
					return tt.boot(m)
				}
				go m.agent.Serve(m.guest) // a booted one begins at the beginning
				return nil
			}
			h.start()
			h.expect(ReportReady)
			if _, err := h.conn.Write([]byte(GoLine)); err != nil {
				t.Fatal(err)
			}
			r := h.expect(ReportNotice)
			contains(t, "notice", r.Error, "web", "did not start from its template and boots instead", tt.want)
			h.expect(ReportStarted)
			if x := h.wait(); x.ExitCode != 4 || x.Error != "" {
				t.Errorf("exit record %+v, want that of the booted machine", x)
			}
			if machines != 2 {
				t.Errorf("%d machines were started, want 2", machines)
			}
			if kept(store) != tt.kept {
				t.Errorf("the template is kept: %t, want %t", kept(store), tt.kept)
			}
		})
	}
}

// What became of the machine is in its status: it was booted in the end.
func TestStatusAfterTheTemplateFailed(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.giveTemplate()
	machines := 0
	h.boot = func(_ int, m *fakeMachine) error {
		if machines++; machines == 1 {
			return &templateError{errors.New("damaged")}
		}
		go m.agent.Serve(m.guest)
		return nil
	}
	h.start()
	h.expect(ReportReady)
	if _, err := h.conn.Write([]byte(GoLine)); err != nil {
		t.Fatal(err)
	}
	h.expect(ReportNotice)
	h.expect(ReportStarted)
	if s := h.status(); s.Template != "" || s.Kernel != "6.12-test" {
		t.Errorf("status %+v, want no template and the kernel of the booted machine", s)
	}
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
		t.Fatal(err)
	}
	h.wait()
}

// A template is to blame for nothing else.
func TestTemplateNotToBlame(t *testing.T) {
	t.Run("stop while it loads", func(t *testing.T) {
		h := newHarness(t, endsAtOnce)
		store := h.giveTemplate()
		h.boot = func(int, *fakeMachine) error { return nil } // never answers
		h.start()
		<-h.starts
		if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
			t.Fatal(err)
		}
		contains(t, "report", h.expect(ReportFailed).Error, errStopped.Error())
		if x := h.wait(); x.Error != errStopped.Error() {
			t.Errorf("exit record %+v", x)
		}
		if len(h.starts) != 0 || !kept(store) {
			t.Errorf("%d more starts, template kept: %t", len(h.starts), kept(store))
		}
	})
	t.Run("starter gone while it loads", func(t *testing.T) {
		h := newHarness(t, endsAtOnce)
		store := h.giveTemplate()
		h.boot = func(int, *fakeMachine) error { return nil }
		h.start()
		<-h.starts
		h.conn.Close()
		h.wait()
		if len(h.starts) != 0 || !kept(store) {
			t.Errorf("%d more starts, template kept: %t", len(h.starts), kept(store))
		}
	})
	t.Run("network", func(t *testing.T) {
		h := newHarness(t, endsAtOnce)
		store := h.giveTemplate()
		h.boot = func(_ int, m *fakeMachine) error {
			m.ready = &networkError{errors.New("port 80 is in use")}
			go m.agent.Continue(m.guest)
			return nil
		}
		h.start()
		contains(t, "report", h.expect(ReportFailed).Error, "port 80 is in use")
		h.wait()
		if len(h.starts) != 1 || !kept(store) {
			t.Errorf("%d starts, template kept: %t", len(h.starts), kept(store))
		}
	})
	t.Run("refused by the agent", func(t *testing.T) {
		h := newHarness(t, nil)
		store := h.giveTemplate()
		h.agent.StartError = &agentproto.Error{Code: agentproto.ErrNotFound, Message: "x"}
		h.boot = func(_ int, m *fakeMachine) error {
			go m.agent.Continue(m.guest)
			return nil
		}
		h.start()
		h.expect(ReportReady)
		if _, err := h.conn.Write([]byte(GoLine)); err != nil {
			t.Fatal(err)
		}
		if r := h.expect(ReportFailed); r.ExitCode != 127 {
			t.Errorf("report %+v, want exit code 127", r)
		}
		h.wait()
		if len(h.starts) != 1 || !kept(store) {
			t.Errorf("%d starts, template kept: %t", len(h.starts), kept(store))
		}
	})
}

// QEMU is told to map the template's memory and to wait for its state, and is handed
// the state.
func TestOpenTemplate(t *testing.T) {
	h := newHarness(t, nil)
	h.giveTemplate()
	desc := qemu.Machine{Name: "web", Board: qemu.BoardQ35, Accel: qemu.AccelTCG, MemoryBytes: 256 << 20, CPUs: 1, Kernel: "/vmlinux"}
	var files qemu.Files
	defer files.Close()
	fd, err := openTemplate(h.launch.Template, &desc, &files)
	if err != nil {
		t.Fatal(err)
	}
	if desc.MemoryPath != h.launch.Template.RAM || desc.MemoryShared || desc.Incoming != "defer" || desc.Kernel != "" || fd < 3 {
		t.Errorf("machine %+v, state in descriptor %d", desc, fd)
	}
	for _, missing := range []string{h.launch.Template.State, h.launch.Template.RAM} {
		if err := os.Remove(missing); err != nil {
			t.Fatal(err)
		}
		before := desc
		var useless *templateError
		if _, err := openTemplate(h.launch.Template, &desc, &files); !errors.As(err, &useless) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("without %s: %v, want a *templateError", filepath.Base(missing), err)
		}
		if desc.Kernel != before.Kernel {
			t.Error("the machine was changed all the same")
		}
	}
	if _, err := os.Stat(h.launch.Template.RAM); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty memory was made: %v", err)
	}
}

func TestMakeTemplateFails(t *testing.T) {
	tests := []struct {
		name, script, want string
	}{
		{"QEMU gives up", "echo 'qemu: no such board' >&2; exit 1", "the machine ended: qemu: no such board"},
		{"console", "echo 'Kernel panic - not syncing: no init' >&5; exit 1", "Kernel panic"},
		{"hang", "exec sleep 1000", "did not come up within 200ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := fakeQEMU(t, tt.script)
			_, err := MakeTemplate(t.Context(), TemplateOrders{
				QEMU: l.QEMU, Machine: l.Machine, State: filepath.Join(t.TempDir(), "state"), BootTimeout: 200 * time.Millisecond,
			}, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("a template was made")
			}
			contains(t, "error", err.Error(), tt.want)
		})
	}
}
