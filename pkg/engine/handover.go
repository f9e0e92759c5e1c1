package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/paths"
)

// A monitor is started as early as it is known that one will be needed: while it
// loads, the command finds the image, makes the disks and writes the orders. The
// liveness lock, which then follows, is the word that the orders are written.

// handOver gives the monitor the liveness lock, which it then holds too.
func (m *monitorProcess) handOver(lock *os.File) error {
	if _, _, err := m.report.WriteMsgUnix([]byte{0}, unix.UnixRights(int(lock.Fd())), nil); err != nil {
		return fmt.Errorf("hand the live lock to the monitor: %w", err)
	}
	return nil
}

// receiveLock is the monitor's side of handOver; fd is a blocking socket. The error
// is io.EOF when the other side hung up instead. The caller owns the file.
func receiveLock(fd int) (*os.File, error) {
	var word [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(fd, word[:], oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, fmt.Errorf("receive the live lock: %w", err)
		case n == 0:
			return nil, io.EOF
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil || len(messages) != 1 {
			return nil, errors.Join(errors.New("receive the live lock: no descriptor came"), err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil || len(fds) != 1 {
			return nil, errors.Join(errors.New("receive the live lock: no descriptor came"), err)
		}
		return os.NewFile(uintptr(fds[0]), "live.lock"), nil
	}
}

// expectMonitor starts the monitor of a container that is about to be made and
// started. One that is not used ends with the engine. A failure shows when the
// monitor is needed.
func (e *Engine) expectMonitor(files paths.Container) {
	m, err := spawnMonitor(files, e.opts)
	if err != nil {
		e.opts.Log.Debug("start the monitor ahead", "error", err)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dismiss()
	e.expected = m
}

// monitorFor returns the monitor that was started ahead for a container, or a new one.
func (e *Engine) monitorFor(files paths.Container) (*monitorProcess, error) {
	e.mu.Lock()
	m := e.expected
	if m != nil && m.log == files.MonitorLog() {
		e.expected = nil
	} else {
		m = nil
	}
	e.mu.Unlock()
	if m != nil {
		return m, nil
	}
	return spawnMonitor(files, e.opts)
}

// dismissPatience bounds the wait for a monitor that is sent away.
const dismissPatience = 2 * time.Second

// dismiss ends the monitor that was started ahead and is not needed; e.mu is held.
func (e *Engine) dismiss() {
	m := e.expected
	if m == nil {
		return
	}
	e.expected = nil
	_ = m.Close()
	ctx, cancel := context.WithTimeout(context.Background(), dismissPatience)
	defer cancel()
	select {
	case <-m.ended:
	case <-ctx.Done():
	}
}
