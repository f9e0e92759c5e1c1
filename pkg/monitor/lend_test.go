package monitor

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

func lendTest(t *testing.T, h *harness) (*Lent, error) {
	t.Helper()
	return lend(t.Context(), h.launch, h.startMachine, slog.New(slog.DiscardHandler))
}

// TestLend runs two containers in a machine, and has it told who it is once.
func TestLend(t *testing.T) {
	h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} })
	h.launch.Guest = agentproto.Machine{Hostname: "kept", NICs: []agentproto.NIC{{Name: "eth0"}}}
	m, err := lendTest(t, h)
	if err != nil {
		t.Fatal(err)
	}
	client := agentclient.New(agentclient.Dial(m.AgentSocket()))
	for i := range 2 {
		guest, err := m.Guest()
		if err != nil {
			t.Fatal(err)
		}
		if first := i == 0; (guest.Hostname == "kept") != first || len(guest.NICs) == 1 != first || (guest.TimeUnixNano != 0) != first || len(guest.Entropy) == 0 {
			t.Errorf("start %d: the machine is told %+v", i+1, guest)
		}
	}
	if _, err := client.Start(t.Context(), testID, agentproto.InitProcess, agentproto.StartRequest{Process: h.ctr().Process}); err != nil {
		t.Fatal(err)
	}
	if m.Empty(t.Context(), testID) {
		t.Error("a machine with a container is empty")
	}
	machine := <-h.starts
	m.Close()
	<-machine.Done()
	<-m.Gone()
	if _, err := os.Stat(h.files.Status()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a machine that is lent has a status: %v", err)
	}
	if !slices.Contains(h.agent.Ops(), agentproto.OpList) {
		t.Errorf("the agent was asked %v", h.agent.Ops())
	}
}

// TestLendGone wants a machine that is lost to be known for it.
func TestLendGone(t *testing.T) {
	h := newHarness(t, nil)
	m, err := lendTest(t, h)
	if err != nil {
		t.Fatal(err)
	}
	(<-h.starts).stop(machineEnd{Cause: endPanic})
	<-m.Gone()
	if m.Empty(t.Context(), testID) {
		t.Error("a machine that is gone is called empty")
	}
	m.Close()
}

// TestLendTemplate wants a machine that does not come from its template to boot.
func TestLendTemplate(t *testing.T) {
	h := newHarness(t, nil)
	ram := t.TempDir() + "/ram"
	h.launch.Template = &Template{Key: strings.Repeat("a", 64), RAM: ram}
	h.boot = func(_ int, m *fakeMachine) error {
		if h.launch.Template != nil {
			return &templateError{errors.New("it does not load")}
		}
		go m.agent.Serve(m.guest)
		return nil
	}
	m, err := lendTest(t, h)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	h.boot = func(int, *fakeMachine) error { return errors.New("no QEMU") }
	if _, err := lendTest(t, h); err == nil || err.Error() != "no QEMU" {
		t.Errorf("without QEMU: %v", err)
	}
}
