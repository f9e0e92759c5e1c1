package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"vpod/pkg/qemu"
	"vpod/pkg/qmp"
	"vpod/pkg/template"
)

// templateError reports a machine that did not come up from its template. Cold it
// may.
type templateError struct{ err error }

func (e *templateError) Error() string {
	return "start the machine from its template: " + e.err.Error()
}
func (e *templateError) Unwrap() error { return e.err }

// blameTemplate makes err, for which a machine did not come up, a *templateError if
// the machine was to come from a template and nothing else is known to be at fault.
func (s *supervisor) blameTemplate(err error) error {
	var network *networkError
	if s.launch.Template == nil || errors.As(err, &network) {
		return err
	}
	return &templateError{err}
}

// dropTemplate makes the machine boot cold from now on, and the next start of any
// container make the template anew. A template is not to blame for a host that is
// too busy to start from it in time.
func (s *supervisor) dropTemplate(why error) {
	t := s.launch.Template
	s.launch.Template = nil
	s.log.Warn("the machine does not start from its template", "template", t.Key, "error", why)
	s.tell(func(st *Status) { st.Template = "" })
	var hang *hangError
	if !errors.As(why, &hang) {
		if err := template.Invalidate(filepath.Dir(t.RAM)); err != nil {
			s.log.Warn("drop the template", "template", t.Key, "error", err)
		}
	}
	s.report.notice(fmt.Sprintf("the machine of %s did not start from its template and boots instead: %v", s.c.Name, why))
}

// openTemplate turns desc into a copy of its template and donates the saved state,
// which QEMU will know as the returned descriptor.
func openTemplate(t *Template, desc *qemu.Machine, files *qemu.Files) (stateFD int, err error) {
	if _, err := os.Stat(t.RAM); err != nil { // QEMU would make an empty one
		return 0, &templateError{err}
	}
	state, err := os.Open(t.State)
	if err != nil {
		return 0, &templateError{err}
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
	runs := time.Now()
	at, err := awaitEvent[qmp.Resume](ctx, events)
	if err != nil {
		return fmt.Errorf("let the restored machine run: %w", err)
	}
	// The event comes before the guest's clock goes on, the reply after it.
	m.resumed, m.resumedWithin = at, max(runs.Sub(at), 0)
	m.record.Mark("let the machine run")
	return nil
}

// Resumed implements machine.
func (m *qemuMachine) Resumed() (time.Time, time.Duration) { return m.resumed, m.resumedWithin }

// awaitEvent waits for an event of one kind and returns when QEMU says it was.
func awaitEvent[T any](ctx context.Context, events *qmp.Watch) (time.Time, error) {
	for {
		select {
		case ev, ok := <-events.C:
			if !ok {
				return time.Time{}, errMachineGone
			}
			if _, ok := ev.Data.(T); !ok {
				continue
			}
			if ev.Time.IsZero() {
				return time.Now(), nil
			}
			return ev.Time, nil
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

// save stops the machine and writes the state of its processors and devices to
// the file at path. Memory that is mapped shared is not part of it. It returns when
// the machine was stopped.
func (m *qemuMachine) save(ctx context.Context, path string) (stopped time.Time, err error) {
	if err := m.awaitGreeting(ctx); err != nil {
		return stopped, err
	}
	events := m.qmp.Watch(ctx)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return stopped, fmt.Errorf("save the machine: %w", err)
	}
	defer f.Close()
	const name = "state"
	for _, step := range []func() error{
		func() error { return m.qmp.Stop(ctx) },
		func() (err error) { stopped, err = awaitEvent[qmp.Stop](ctx, events); return err },
		func() error { return m.qmp.SetMigrationCapabilities(ctx, templateCapabilities()) },
		func() error { return m.qmp.Getfd(ctx, name, f) },
		func() error { return m.qmp.Migrate(ctx, "fd:"+name) },
		func() error { return m.awaitMigration(ctx, events) },
	} {
		if err := step(); err != nil {
			return stopped, fmt.Errorf("save the machine: %w", err)
		}
	}
	return stopped, nil
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
