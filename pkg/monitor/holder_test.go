package monitor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vpod/pkg/agentclient"
	"vpod/pkg/filelock"
	"vpod/pkg/paths"
)

// A monitor whose run directory has gone is proved to live, and serves again
// when asked to.
func TestRunDirectoryGone(t *testing.T) {
	h := newHarness(t, untilSignal)
	renewals := make(chan os.Signal)
	h.tune = func(s *supervisor) { s.renewals = renewals }
	h.run()
	before := h.attach(Streams{})
	if got, want := ReadHolder(h.files.LiveLock()), (Holder{MonitorPID: os.Getpid(), RunDir: h.files.Run}); got != want {
		t.Errorf("the lock holds %+v, want %+v", got, want)
	}
	renewals <- RenewSignal // all is there: nothing changes
	if err := os.RemoveAll(h.files.Run); err != nil {
		t.Fatal(err)
	}
	at := paths.Container{Data: h.files.Data, Run: h.files.Data}
	for range 2 { // once more, in the directory it has moved to
		renewals <- RenewSignal
		eventually(t, "a status beside the data", func() bool { _, err := os.Stat(at.Status()); return err == nil })
		if got := ReadHolder(h.files.LiveLock()).RunDir; got != at.Run {
			t.Errorf("the lock says %s, want %s", got, at.Run)
		}
		if held, err := filelock.Held(h.files.LiveLock()); err != nil || !held {
			t.Errorf("live lock held: %t, %v", held, err)
		}
		if _, err := agentclient.New(agentclient.Dial(at.AgentSocket())).List(t.Context(), testID); err != nil {
			t.Errorf("List = %v", err)
		}
		for _, path := range []string{at.Status(), at.AttachSocket(), at.AgentSocket()} {
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		}
	}
	renewals <- RenewSignal
	eventually(t, "a status beside the data", func() bool { _, err := os.Stat(at.Status()); return err == nil })
	if err := Kill(t.Context(), at.AttachSocket(), testID, 15, true); err != nil {
		t.Errorf("Kill = %v", err)
	}
	if before.wait(t); before.exit.ExitCode != 128+15 {
		t.Errorf("the client of before got %+v, %v", before.exit, before.failed)
	}
	h.wait()
	left, _ := filepath.Glob(h.files.Data + "/*")
	left = slices.DeleteFunc(left, func(p string) bool {
		return p != at.Status() && p != at.AttachSocket() && p != at.AgentSocket()
	})
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if got := ReadHolder(h.files.LiveLock()); got != (Holder{}) {
		t.Errorf("the lock still holds %+v", got)
	}
	if _, err := os.Stat(h.files.Run); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run directory: %v", err)
	}
}

func TestReadHolder(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Holder
	}{
		{"empty", "", Holder{}},
		{"written", `{"monitorPid":7,"runDir":"/r"}`, Holder{7, "/r"}},
		{"damaged", `{"monitorPid":7,"run`, Holder{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := t.TempDir() + "/live.lock"
			if got := ReadHolder(path); got != (Holder{}) {
				t.Errorf("of no file: %+v", got)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := ReadHolder(path); got != tt.want {
				t.Errorf("ReadHolder = %+v, want %+v", got, tt.want)
			}
		})
	}
}
