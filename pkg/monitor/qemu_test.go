package monitor

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpod/pkg/qemu"
)

// fakeQEMU writes a shell script to run in QEMU's place, and orders that use it.
func fakeQEMU(t *testing.T, script string) *Launch {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "qemu")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return &Launch{
		QEMU: path, RunDir: dir, DataDir: dir,
		Machine: qemu.Machine{
			Name: "test", Board: qemu.BoardQ35, Accel: qemu.AccelTCG, MemoryBytes: 256 << 20, CPUs: 1, Kernel: "/vmlinux",
		},
	}
}

func TestQEMUEnds(t *testing.T) {
	greeting := `echo '{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}' >&3; `
	// As QEMU's, events come once the capabilities are settled.
	event := func(s string) string { return greeting + `read capabilities <&3; echo '` + s + `' >&3; ` }
	for _, tt := range []struct {
		name   string
		script string
		act    func(m machine)
		want   machineEnd
	}{
		{"gives up", "echo 'qemu: no such disk' >&2; exit 1", nil, machineEnd{endFailed, "qemu: no such disk"}},
		{"gives up, too old", "[ $1 != --version ] || { echo QEMU emulator version 5.2.0; exit; }; echo 'qemu: what?' >&2; exit 1", nil,
			machineEnd{endFailed, "qemu: what?; it is QEMU 5.2.0, and vpod needs 7.2 or a later one"}},
		{"gives up, not too old", "[ $1 != --version ] || { echo QEMU emulator version 10.0.2; exit; }; echo 'qemu: what?' >&2; exit 1", nil,
			machineEnd{endFailed, "qemu: what?"}},
		{"without a word", "exit 0", nil, machineEnd{endFailed, "it ended without a word"}},
		{"killed", "kill -9 $$", nil, machineEnd{endKilled, "signal KILL: by somebody, or by the host for want of memory"}},
		{"crashed", "kill -ABRT $$", nil, machineEnd{endKilled, "signal SIGABRT"}},
		{"panic", event(`{"event": "GUEST_PANICKED", "data": {"action": "shutdown"}}`) + "exit 0", nil, machineEnd{Cause: endPanic}},
		{"reset", event(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`) + "exit 0", nil, machineEnd{Cause: endReset}},
		{"power off", event(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`) + "exit 0", nil, machineEnd{Cause: endPowerOff}},
		{"asked", "exec sleep 1000", func(m machine) { m.Kill() }, machineEnd{Cause: endAsked}},
		{"does not quit", greeting + "exec sleep 1000", func(m machine) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := m.Quit(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Quit = %v", err)
			}
			m.Kill()
		}, machineEnd{Cause: endAsked}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := startQEMU(t.Context(), fakeQEMU(t, tt.script), nil, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Kill()
			go io.Copy(io.Discard, m.Console())
			if tt.act != nil {
				tt.act(m)
			}
			select {
			case <-m.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("it does not end")
			}
			if got := m.End(); got != tt.want {
				t.Errorf("End = %+v, want %+v", got, tt.want)
			}
			if err := m.Ready(t.Context()); err != nil {
				t.Errorf("Ready without helpers = %v", err)
			}
		})
	}
}

// TestQEMUChannels checks that QEMU gets the descriptors its arguments name.
func TestQEMUChannels(t *testing.T) {
	l := fakeQEMU(t, `
for word; do case $word in
	socket,id=agent,fd=*) agent=${word##*=} ;;
	socket,id=console,fd=*) console=${word##*=} ;;
esac; done
eval "exec 8<&$agent 9>&$console"
read line <&8
echo "agent said $line" >&9
`)
	m, err := startQEMU(t.Context(), l, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Kill()
	if _, err := m.Channel().Write([]byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(m.Console())
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != "agent said hello\n" {
		t.Errorf("console says %q", b)
	}
}

func TestQEMUCannotStart(t *testing.T) {
	l := fakeQEMU(t, "")
	l.QEMU = "/nonexistent/qemu"
	_, err := startQEMU(t.Context(), l, nil, slog.New(slog.DiscardHandler))
	var missing *qemu.NotFoundError
	if !errors.As(err, &missing) {
		t.Fatalf("startQEMU = %v, want *qemu.NotFoundError", err)
	}
	contains(t, "error", err.Error(), "/nonexistent/qemu", "no such file or directory", "apt install")

	l = fakeQEMU(t, "")
	l.Machine.MemoryBytes = 1
	if _, err := startQEMU(t.Context(), l, nil, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a machine of one byte started")
	}
	fds := countFDs(t)
	for range 20 {
		_, _ = startQEMU(t.Context(), l, nil, slog.New(slog.DiscardHandler))
	}
	if now := countFDs(t); now > fds+5 {
		t.Errorf("%d descriptors before, %d after failed starts", fds, now)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
