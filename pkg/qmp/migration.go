package qmp

import (
	"context"
	"slices"
)

// MigrationCapability names an ability of QEMU's migration (qapi/migration.json).
type MigrationCapability string

// The capabilities templates and checkpoints use.
const (
	// CapIgnoreShared leaves memory that is mapped shared out of the saved state: it lives in its own file.
	CapIgnoreShared MigrationCapability = "x-ignore-shared"
	// CapEvents makes QEMU report each change as a MigrationChanged event.
	CapEvents MigrationCapability = "events"
)

// MigrationStatus is how far a migration is (qapi/migration.json, MigrationStatus).
type MigrationStatus string

// Values of MigrationStatus. Final says which of them are the end.
const (
	MigrationNone       MigrationStatus = "none"
	MigrationSetup      MigrationStatus = "setup"
	MigrationActive     MigrationStatus = "active"
	MigrationDevice     MigrationStatus = "device"
	MigrationCompleted  MigrationStatus = "completed"
	MigrationFailed     MigrationStatus = "failed"
	MigrationCancelling MigrationStatus = "cancelling"
	MigrationCancelled  MigrationStatus = "cancelled"
)

// Final reports whether no other status follows.
func (s MigrationStatus) Final() bool {
	return s == MigrationCompleted || s == MigrationFailed || s == MigrationCancelled
}

// MigrationInfo is the reply to query-migrate. Status is empty while nothing was ever migrated.
type MigrationInfo struct {
	Status      MigrationStatus `json:"status"`
	ErrorDesc   string          `json:"error-desc"` // why it failed
	TotalTimeMS int64           `json:"total-time"` // milliseconds
	DowntimeMS  int64           `json:"downtime"`   // milliseconds
	RAM         struct {
		TransferredBytes int64 `json:"transferred"`
		RemainingBytes   int64 `json:"remaining"`
		TotalBytes       int64 `json:"total"`
	} `json:"ram"`
}

// SetMigrationCapabilities switches the named capabilities on or off and leaves the others.
func (m *Monitor) SetMigrationCapabilities(ctx context.Context, caps map[MigrationCapability]bool) error {
	type capability struct {
		Name  MigrationCapability `json:"capability"`
		State bool                `json:"state"`
	}
	list := []capability{} // QEMU wants a list, not null
	for name, state := range caps {
		list = append(list, capability{name, state})
	}
	slices.SortFunc(list, func(a, b capability) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return m.Execute(ctx, "migrate-set-capabilities", map[string]any{"capabilities": list}, nil)
}

// Migrate starts to save the machine's state to uri and returns at once; QueryMigrate or MigrationChanged events
// tell the end. With QEMU's sandbox, uri is "fd:NAME" of an earlier Getfd.
func (m *Monitor) Migrate(ctx context.Context, uri string) error {
	return m.commands(ctx).Migrate(uri, nil, nil, nil)
}

// MigrateIncoming starts to load a state into a machine that was started with -incoming defer.
func (m *Monitor) MigrateIncoming(ctx context.Context, uri string) error {
	return m.commands(ctx).MigrateIncoming(uri)
}

// QueryMigrate asks how far the migration is.
func (m *Monitor) QueryMigrate(ctx context.Context) (MigrationInfo, error) {
	var info MigrationInfo
	err := m.Execute(ctx, "query-migrate", nil, &info)
	return info, err
}
