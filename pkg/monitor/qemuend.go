package monitor

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/qemu"
	"vpod/pkg/qmp"
	"vpod/pkg/sidecar"
)

// maxLastWords is how much of what QEMU printed an error quotes, in bytes.
const maxLastWords = 2000

// watch remembers what QEMU says of the machine's end.
func (m *qemuMachine) watch(w *qmp.Watch) {
	defer close(m.watching)
	for ev := range w.C {
		m.mu.Lock()
		switch data := ev.Data.(type) {
		case qmp.GuestPanicked:
			m.panicked = true
		case qmp.Shutdown:
			m.shutdown = data.Reason
		}
		m.mu.Unlock()
		switch ev.Data.(type) {
		case qmp.GuestPanicked, qmp.Shutdown, qmp.BlockIOError:
			m.log.Info("QEMU", "event", ev.Name, "data", ev.Data)
		case qmp.Stop:
			go m.stopped()
		}
	}
}

// stopped looks why the machine stands still. After an error of its own QEMU
// waits for ever for somebody to look at it.
func (m *qemuMachine) stopped() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	status, err := m.qmp.Status(ctx)
	if err != nil || status.Status != qmp.RunInternalError {
		return
	}
	m.giveUp("the processor's emulation failed (internal error)")
}

// giveUp ends the machine for a reason of its own.
func (m *qemuMachine) giveUp(why string) {
	m.mu.Lock()
	m.fault = why
	m.mu.Unlock()
	m.process.Kill()
}

// wait waits for QEMU's end, says how it came, and ends the helpers.
func (m *qemuMachine) wait() {
	defer close(m.done)
	err := m.process.Wait(context.Background())
	select { // what QEMU said last is still to be read
	case <-m.qmp.Done():
	case <-time.After(time.Second):
	}
	_ = m.qmp.Disconnect()
	<-m.watching
	if m.passt != nil {
		m.passt.Close()
	}
	m.spawner.Close()
	m.channel.Close()
	// What the guest has printed is read to its end, but nobody waits for a stranger
	// that has got hold of the other end.
	_ = m.console.SetReadDeadline(time.Now().Add(time.Second))
	age := ""
	if err != nil && !m.spoke.Load() {
		age = ageOf(m.path)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end = m.explain(err); m.end.Cause == endFailed {
		m.end.Detail += age
	}
	m.log.Info("QEMU ended", "error", err, "asked", m.asked)
}

// ageOf is a remark on a QEMU older than what vpod needs; "" on any other.
func ageOf(path string) string {
	v, err := qemu.QueryVersion(context.Background(), path)
	if err != nil || v.Supported() {
		return ""
	}
	return fmt.Sprintf("; it is QEMU %s, and vpod needs %d.%d or a later one", v, qemu.LeastMajor, qemu.LeastMinor)
}

// explain makes the machine's end of what is known. m.mu is held.
func (m *qemuMachine) explain(err error) machineEnd {
	words := agentclient.Printable(m.process.Stderr(), maxLastWords)
	var exit *sidecar.ExitError
	signalled := syscall.Signal(0)
	if errors.As(err, &exit) {
		signalled = exit.Signal
	}
	switch {
	case m.fault != "":
		return machineEnd{Cause: endFailed, Detail: m.fault}
	case m.panicked || m.shutdown == qmp.ShutdownGuestPanic:
		return machineEnd{Cause: endPanic}
	case m.shutdown == qmp.ShutdownGuestReset:
		return machineEnd{Cause: endReset}
	case m.shutdown == qmp.ShutdownGuest:
		return machineEnd{Cause: endPowerOff}
	case m.asked:
		return machineEnd{Cause: endAsked}
	case signalled == syscall.SIGKILL:
		return machineEnd{Cause: endKilled, Detail: "signal KILL: by somebody, or by the host for want of memory"}
	case signalled != 0:
		return machineEnd{Cause: endKilled, Detail: fmt.Sprintf("signal %s", unix.SignalName(signalled))}
	case m.shutdown == qmp.ShutdownHostSignal:
		return machineEnd{Cause: endKilled, Detail: "asked to end by a signal"}
	case words != "":
		return machineEnd{Cause: endFailed, Detail: words}
	case err != nil:
		return machineEnd{Cause: endFailed, Detail: err.Error()}
	}
	return machineEnd{Cause: endFailed, Detail: "it ended without a word"}
}

// End implements machine.
func (m *qemuMachine) End() machineEnd {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.end
}
