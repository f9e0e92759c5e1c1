package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/template"
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

// StartMaintenance starts the machine of l, from its template if it has one, without
// its network and its container. Nobody else may start a machine with these disks
// meanwhile. It goes with this process, however that ends, and with ctx; the caller
// closes it.
func StartMaintenance(ctx context.Context, l *Launch, log *slog.Logger) (*Maintenance, error) {
	orders := *l
	orders.Network, orders.Virtiofsd = Network{}, nil
	if nic := l.Machine.NIC; nic != nil {
		unconnected := *nic
		unconnected.User, unconnected.StreamFD, unconnected.Unconnected = nil, 0, true
		orders.Machine.NIC = &unconnected
	}
	m, err := startMaintenance(ctx, &orders, log)
	if err != nil && orders.Template != nil && ctx.Err() == nil {
		log.Warn("the machine does not start from its template", "template", orders.Template.Key, "error", err)
		var hang *hangError
		if !errors.As(err, &hang) {
			if err := template.Invalidate(filepath.Dir(orders.Template.RAM)); err != nil {
				log.Warn("drop the template", "template", orders.Template.Key, "error", err)
			}
		}
		orders.Template = nil
		m, err = startMaintenance(ctx, &orders, log)
	}
	return m, err
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
	if l.Template == nil {
		m.session, err = awaitAgent(ctx, m.machine, timeout)
	} else {
		m.session, err = m.resume(ctx, l.Template, timeout)
	}
	if err != nil {
		return nil, err
	}
	m.Client = agentclient.New(m.session)
	return m, nil
}

// resume waits until the machine goes on from its template.
func (m *Maintenance) resume(ctx context.Context, t *Template, timeout time.Duration) (*agentclient.Session, error) {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, &hangError{timeout: timeout})
	defer cancel()
	if err := m.machine.Ready(limited); err != nil {
		return nil, err
	}
	return agentclient.ContinueSession(m.machine.Channel(), t.Hello)
}

// GuestTime is what the guest is to be told of the time.
func (m *Maintenance) GuestTime() *agentproto.Machine {
	r := run{machine: m.machine, session: m.session, clock: m.session.Clock()}
	machine := &agentproto.Machine{}
	machine.TimeUnixNano, machine.ClockNanos = r.guestTime()
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
