package monitor

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

// The disk of a container that is removed after its end is gone when that is told;
// everybody else's stays.
func TestDiscardDisk(t *testing.T) {
	for _, tt := range []struct {
		name   string
		remove bool
		fails  bool
		kept   bool
	}{
		{"to be removed", true, false, false},
		{"to stay", false, false, true},
		{"to be removed, but never ran", true, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} })
			h.ctr().AutoRemove = tt.remove
			if tt.fails {
				h.agent.StartError = &agentproto.Error{Code: agentproto.ErrNotFound, Message: "no such command"}
			}
			if err := os.WriteFile(h.files.Scratch(), []byte("disk"), 0o600); err != nil {
				t.Fatal(err)
			}
			h.start()
			h.expect(ReportReady)
			if tt.fails {
				if _, err := h.conn.Write([]byte(GoLine)); err != nil {
					t.Fatal(err)
				}
				h.expect(ReportFailed)
			} else {
				h.goAhead()
			}
			h.wait()
			if _, err := os.Stat(h.files.Scratch()); (err == nil) != tt.kept || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("disk: %v, want it kept: %t", err, tt.kept)
			}
		})
	}
}
