package monitor

import (
	"context"
	"fmt"
	"log/slog"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
)

// Maintenance is a machine with the disks of a container that does not run, and in
// which it does not run: its agent reads the disks for the host.
type Maintenance struct {
	Client *agentclient.Client

	machine *qemuMachine
	session *agentclient.Session
	drained chan struct{} // closed when the console has been read to its end
	console *lastBytes
	stop    func() bool
	log     *slog.Logger
}

// StartMaintenance boots the machine of l without its container. It uses no template:
// what works on many disks of many sizes for long leaves alone what the machines of
// containers share. Nobody else may start a machine with these disks meanwhile. It goes
// with this process, however that ends, and with ctx; the caller closes it.
func StartMaintenance(ctx context.Context, l *Launch, log *slog.Logger) (*Maintenance, error) {
	return untilUp(log, func() (*Maintenance, error) { return startMaintenance(ctx, l, log) })
}

func startMaintenance(ctx context.Context, l *Launch, log *slog.Logger) (_ *Maintenance, err error) {
	started, err := startQEMU(ctx, l, nil, log)
	if err != nil {
		return nil, err
	}
	m := &Maintenance{
		machine: started.(*qemuMachine), log: log,
		drained: make(chan struct{}), console: &lastBytes{max: consoleQuoteBytes},
	}
	go func() {
		defer close(m.drained)
		drainConsole(m.machine.Console(), m.console)
	}()
	m.stop = context.AfterFunc(ctx, m.machine.process.Kill)
	defer func() {
		if err != nil {
			m.kill()
			err = fmt.Errorf("%w%s", err, quoteConsole(m.console.bytes()))
		}
	}()
	timeout := l.BootTimeout
	if timeout <= 0 {
		timeout = defaultBootTimeout
	}
	if m.session, err = awaitAgent(ctx, m.machine, timeout); err != nil {
		return nil, err
	}
	m.Client = agentclient.New(m.session)
	return m, nil
}

// GuestTime is what the guest is to be told of the time.
func (m *Maintenance) GuestTime() *agentproto.Machine {
	machine := &agentproto.Machine{}
	machine.TimeUnixNano, machine.ClockNanos = m.session.Clock().Time()
	return machine
}

// Close has the guest let go of its disks, as far as it answers, and ends the machine.
func (m *Maintenance) Close() {
	limits := defaultLimits()
	ctx, cancel := context.WithTimeout(context.Background(), limits.syncStop)
	defer cancel()
	if err := m.Client.Shutdown(ctx, agentproto.ShutdownRequest{Sync: true}); err != nil {
		m.log.Warn("shut the guest down", "error", err)
	}
	m.session.Close()
	ending, cancel := context.WithTimeout(context.Background(), limits.quit)
	defer cancel()
	if err := m.machine.Quit(ending); err != nil {
		m.log.Warn("QEMU did not quit and is killed", "error", err)
	}
	m.kill()
}

// kill ends the machine.
func (m *Maintenance) kill() {
	m.stop()
	m.machine.Kill()
	<-m.drained
}
