package engine

import (
	"bufio"
	"encoding/json"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/unixsock"
)

// tellExits is a monitor that tells each client that attaches the next of exits.
func tellExits(t *testing.T, files paths.Container, exits ...monitor.Exit) {
	t.Helper()
	l, err := unixsock.Listen(files.AttachSocket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for _, exit := range exits {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := bufio.NewReader(conn).ReadBytes('\n'); err != nil {
				t.Error(err)
			}
			reply, _ := json.Marshal(monitor.HelloReply{Version: monitor.LaunchVersion})
			conn.Write(append(reply, '\n'))
			body, _ := json.Marshal(exit)
			if err := monitor.WriteFrame(conn, monitor.FrameExit, body); err != nil {
				t.Error(err)
			}
			conn.Close()
		}
	}()
}

// The end of one run is the container's only when the monitor says so; that it
// runs again by another start does not matter.
func TestWaitOverRestarts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		exits []monitor.Exit
		want  int
	}{
		{"the end, and started again by a user", []monitor.Exit{{ExitCode: 4}, {ExitCode: 5}}, 4},
		{"restarted by its policy", []monitor.Exit{{ExitCode: 4, Restarts: true}, {ExitCode: 4, Restarts: true}, {ExitCode: 5}}, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := testEngine(t)
			files := addContainer(t, e, testSpec(), container.Starting)
			lock, err := filelock.TryLock(files.LiveLock())
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Close()
			tellExits(t, files, tt.exits...)
			codes, results := e.Wait(t.Context(), Selection{Names: []string{"web"}}, WaitOptions{})
			if len(codes) != 1 || codes[0] != tt.want || results[0].Err != nil {
				t.Errorf("Wait = %v, %+v; want %d", codes, results, tt.want)
			}
		})
	}
}

// Between two runs ps and inspect tell how the last one ended.
func TestRestartingExitCode(t *testing.T) {
	row := listed(container.Container{}, &monitor.Status{State: restarting, ExitCode: 3})
	if row.Record.ExitCode != 3 {
		t.Errorf("exit code %d, want 3", row.Record.ExitCode)
	}
}
