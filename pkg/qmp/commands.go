package qmp

import (
	"context"
	"errors"
	"os"

	goqmp "github.com/digitalocean/go-qemu/qmp"
	"github.com/digitalocean/go-qemu/qmp/raw"
)

// Commands whose form has not changed since QEMU 2.11 go through go-qemu's generated code. Those whose replies carry
// enumerations that have grown since (run states, migration) have types of our own, with strings: go-qemu's refuse
// values they do not know.

// RunState is what the machine is doing (qapi/run-state.json).
type RunState string

// Values of RunState that callers tell apart.
const (
	RunRunning       RunState = "running"
	RunPaused        RunState = "paused"
	RunPrelaunch     RunState = "prelaunch"      // started with -S
	RunInMigrate     RunState = "inmigrate"      // waits for, or loads, an incoming state
	RunPostMigrate   RunState = "postmigrate"    // stands still after its state was saved
	RunFinishMigrate RunState = "finish-migrate" // its state is being saved
	RunShutdown      RunState = "shutdown"
	RunGuestPanicked RunState = "guest-panicked"
	RunInternalError RunState = "internal-error" // an emulation failure; under KVM most often a CPU it cannot run
	RunIOError       RunState = "io-error"       // a disk failed and the policy is to stop
)

// Status is the reply to query-status.
type Status struct {
	Running bool     `json:"running"`
	Status  RunState `json:"status"`
}

func (m *Monitor) commands(ctx context.Context, files ...*os.File) *raw.Monitor {
	return raw.NewMonitor(m.Bind(ctx, files...))
}

// Status asks what the machine is doing.
func (m *Monitor) Status(ctx context.Context) (Status, error) {
	var s Status
	err := m.Execute(ctx, "query-status", nil, &s)
	return s, err
}

// QueryVersion asks for QEMU's version. Package is the distribution's, e.g. "Debian 1:7.2+dfsg-7+deb12u18".
func (m *Monitor) QueryVersion(ctx context.Context) (goqmp.Version, error) {
	v, err := m.commands(ctx).QueryVersion()
	if err != nil {
		return goqmp.Version{}, err
	}
	out := goqmp.Version{Package: v.Package}
	out.QEMU.Major, out.QEMU.Minor, out.QEMU.Micro = int(v.Qemu.Major), int(v.Qemu.Minor), int(v.Qemu.Micro)
	return out, nil
}

// Quit ends QEMU without asking the guest. That QEMU is gone before its answer came is success.
func (m *Monitor) Quit(ctx context.Context) error {
	if err := m.commands(ctx).Quit(); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	return nil
}

// Stop halts the virtual CPUs.
func (m *Monitor) Stop(ctx context.Context) error { return m.commands(ctx).Stop() }

// Cont lets them run.
func (m *Monitor) Cont(ctx context.Context) error { return m.commands(ctx).Cont() }

// SystemPowerdown presses the ACPI power button; what follows is up to the guest.
func (m *Monitor) SystemPowerdown(ctx context.Context) error {
	return m.commands(ctx).SystemPowerdown()
}

// DeviceAdd plugs a device in. props are those of -device without the driver, with JSON types: numbers and
// booleans, not their texts.
func (m *Monitor) DeviceAdd(ctx context.Context, driver, id string, props map[string]any) error {
	args := map[string]any{"driver": driver, "id": id}
	for k, v := range props {
		args[k] = v
	}
	return m.Execute(ctx, "device_add", args, nil)
}

// DeviceDel asks the guest to let go of a device; a DeviceDeleted event says that it has.
func (m *Monitor) DeviceDel(ctx context.Context, id string) error {
	return m.commands(ctx).DeviceDel(id)
}

// BlockdevAdd adds a block backend; node holds the properties of -blockdev, node-name included.
func (m *Monitor) BlockdevAdd(ctx context.Context, node map[string]any) error {
	return m.Execute(ctx, "blockdev-add", node, nil)
}

// BlockdevDel removes a block backend that no device uses.
func (m *Monitor) BlockdevDel(ctx context.Context, nodeName string) error {
	return m.Execute(ctx, "blockdev-del", map[string]string{"node-name": nodeName}, nil)
}

// BlockResize sets the size the guest sees of a writable disk.
func (m *Monitor) BlockResize(ctx context.Context, nodeName string, sizeBytes int64) error {
	return m.commands(ctx).BlockResize(nil, &nodeName, sizeBytes)
}

// Getfd gives QEMU a copy of f under a name, for arguments such as "fd:NAME". The next command that uses the name
// takes the descriptor from the monitor. f stays the caller's.
func (m *Monitor) Getfd(ctx context.Context, name string, f *os.File) error {
	return m.commands(ctx, f).Getfd(name)
}

// Closefd closes a descriptor named by Getfd that was not used.
func (m *Monitor) Closefd(ctx context.Context, name string) error {
	return m.Execute(ctx, "closefd", map[string]string{"fdname": name}, nil)
}

// AddFd gives QEMU a copy of f in descriptor set fdset, whose files QEMU opens as "/dev/fdset/N". f stays the
// caller's.
func (m *Monitor) AddFd(ctx context.Context, fdset int64, f *os.File) error {
	_, err := m.commands(ctx, f).AddFD(&fdset, nil)
	return err
}

// RemoveFd empties a descriptor set; QEMU keeps what is in use until it is closed.
func (m *Monitor) RemoveFd(ctx context.Context, fdset int64) error {
	return m.commands(ctx).RemoveFD(fdset, nil)
}
