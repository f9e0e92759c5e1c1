package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// migrationFiles hold the steps from an empty database to the current one, in
// the order of their names. A released file is never changed: a new one follows.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrations returns the steps; the database's user_version counts those done.
func migrations() ([]string, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// migrate runs the steps the database has not seen, each in a transaction of its own.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := migrations()
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	version, err := s.version(ctx)
	if err != nil {
		return s.wrap("open", err)
	}
	if version > len(steps) {
		return &VersionError{Path: s.path, Have: version, Know: len(steps)}
	}
	for n := version; n < len(steps); n++ {
		if err := s.migrateStep(ctx, steps[n], n); err != nil {
			return err
		}
	}
	return nil
}

// version reads which steps the database has seen, which is also what opens it.
//
// Of several that turn a new file into one with a write-ahead log at once, each may
// have read it when it wants to write. sqlite makes none wait for the others then, as
// it could be for ever: it fails all but one at once, whatever the timeout. They do
// what the timeout would.
func (s *Store) version(ctx context.Context) (version int, err error) {
	deadline := time.Now().Add(busyTimeout)
	for {
		err = s.db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
		if !isBusy(err) || time.Now().After(deadline) {
			return version, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

// migrateStep runs the step that leads from version n to n+1, unless another
// process has done so meanwhile.
func (s *Store) migrateStep(ctx context.Context, name string, n int) error {
	text, err := migrationFiles.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read migration: %w", err)
	}
	return s.inTx(ctx, "migrate", func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return s.wrap("migrate", err)
		}
		if version > n {
			return nil
		}
		if _, err := tx.ExecContext(ctx, string(text)); err != nil {
			return s.wrap("migrate with "+name, err)
		}
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", n+1)); err != nil {
			return s.wrap("migrate with "+name, err)
		}
		return nil
	})
}
