package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"vpod/pkg/qemu"
	"vpod/pkg/qmp"
	"vpod/pkg/template"
)

// openTemplate turns desc into a copy of its template and donates the saved state,
// which QEMU will know as the returned descriptor.
func openTemplate(t *Template, desc *qemu.Machine, files *qemu.Files) (stateFD int, err error) {
	if _, err := os.Stat(t.RAM); err != nil { // QEMU would make an empty one
		return 0, fmt.Errorf("open the machine template: %w", err)
	}
	state, err := os.Open(t.State)
	if err != nil {
		return 0, fmt.Errorf("open the machine template: %w", err)
	}
	*desc = template.Clone(*desc, t.RAM)
	return files.Donate(state), nil
}

// restore loads the state of a machine that was started with -incoming defer, and
// returns when it runs. A state that does not load ends QEMU.
func (m *qemuMachine) restore(ctx context.Context, stateFD int, events *qmp.Watch) error {
	if err := m.awaitGreeting(ctx); err != nil {
		return err
	}
	if err := m.qmp.SetMigrationCapabilities(ctx, templateCapabilities()); err != nil {
		return fmt.Errorf("restore the machine: %w", err)
	}
	if err := m.qmp.MigrateIncoming(ctx, fmt.Sprintf("fd:%d", stateFD)); err != nil {
		return fmt.Errorf("restore the machine: %w", err)
	}
	if err := m.awaitMigration(ctx, events); err != nil {
		return fmt.Errorf("restore the machine: %w", err)
	}
	m.record.Mark("load the saved machine")
	// It was saved standing still, and so it stands.
	if err := m.qmp.Cont(ctx); err != nil {
		return fmt.Errorf("let the restored machine run: %w", err)
	}
	m.record.Mark("let the machine run")
	return nil
}

// save stops the machine and writes the state of its processors and devices to
// the file at path. Memory that is mapped shared is not part of it.
func (m *qemuMachine) save(ctx context.Context, path string) error {
	if err := m.awaitGreeting(ctx); err != nil {
		return err
	}
	events := m.qmp.Watch(ctx)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("save the machine: %w", err)
	}
	defer f.Close()
	const name = "state"
	for _, step := range []func() error{
		func() error { return m.qmp.Stop(ctx) },
		func() error { return m.qmp.SetMigrationCapabilities(ctx, templateCapabilities()) },
		func() error { return m.qmp.Getfd(ctx, name, f) },
		func() error { return m.qmp.Migrate(ctx, "fd:"+name) },
		func() error { return m.awaitMigration(ctx, events) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("save the machine: %w", err)
		}
	}
	return nil
}

// templateCapabilities are set on both ends: the memory is a file already.
func templateCapabilities() map[qmp.MigrationCapability]bool {
	return map[qmp.MigrationCapability]bool{qmp.CapIgnoreShared: true, qmp.CapEvents: true}
}

// awaitGreeting waits until commands may be sent.
func (m *qemuMachine) awaitGreeting(ctx context.Context) error {
	select {
	case <-m.greeted:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitMigration waits until a state is loaded or saved.
func (m *qemuMachine) awaitMigration(ctx context.Context, events *qmp.Watch) error {
	for {
		select {
		case ev, ok := <-events.C:
			if !ok {
				return errMachineGone
			}
			change, ok := ev.Data.(qmp.MigrationChanged)
			switch {
			case !ok || !change.Status.Final():
				continue
			case change.Status == qmp.MigrationCompleted:
				return nil
			}
			info, err := m.qmp.QueryMigrate(ctx)
			if err == nil {
				err = errors.New("migration " + string(change.Status) + ": " + info.ErrorDesc)
			}
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
