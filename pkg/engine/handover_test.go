package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"vpod/pkg/filelock"
)

// reportPair returns the command's end of a report channel and the monitor's.
func reportPair(t *testing.T) (*monitorProcess, int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	ours := os.NewFile(uintptr(fds[0]), "report")
	defer ours.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &monitorProcess{report: conn.(*net.UnixConn), ended: make(chan struct{})}, fds[1]
}

// The lock a monitor is given is the one the command holds: it stays held when the
// command lets go of its own.
func TestHandOver(t *testing.T) {
	m, theirs := reportPair(t)
	path := filepath.Join(t.TempDir(), "live.lock")
	lock, err := filelock.TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.handOver(lock); err != nil {
		t.Fatal(err)
	}
	got, err := receiveLock(theirs)
	if err != nil {
		t.Fatal(err)
	}
	if flags, err := unix.FcntlInt(got.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: it would leak to what the monitor starts", flags, err)
	}
	lock.Close()
	if held, err := filelock.Held(path); err != nil || !held {
		t.Errorf("held: %t, %v, with the monitor's copy open", held, err)
	}
	got.Close()
	if held, err := filelock.Held(path); err != nil || held {
		t.Errorf("held: %t, %v, with no copy open", held, err)
	}
}

func TestReceiveNoLock(t *testing.T) {
	m, theirs := reportPair(t)
	m.Close()
	if _, err := receiveLock(theirs); !errors.Is(err, io.EOF) {
		t.Errorf("receiveLock = %v when the command hangs up, want io.EOF", err)
	}
	m, theirs = reportPair(t)
	if _, err := m.report.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if f, err := receiveLock(theirs); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("receiveLock = %v, %v for a word without a lock, want an error", f, err)
	}
}

// A monitor that was started ahead serves its own container only, and is sent away
// when none is started.
func TestExpectedMonitor(t *testing.T) {
	e := testEngine(t)
	mine := e.dirs.Container(newID())
	m, theirs := reportPair(t)
	m.log = mine.MonitorLog()
	e.expected = m
	got, err := e.monitorFor(mine)
	if err != nil || got != m || e.expected != nil {
		t.Errorf("monitorFor = %p, %v; want %p, and nothing kept", got, err, m)
	}
	e.expected = m
	go func() {
		defer close(m.ended)
		_, _ = receiveLock(theirs)
	}()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	select {
	case <-m.ended:
	default:
		t.Error("the engine is closed and the monitor waits on")
	}
}
