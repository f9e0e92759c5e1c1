// Package store keeps vpod's state: which containers exist, what was asked of
// each (container.Spec, never changed) and what has become of it
// (container.Record), in one sqlite file per user.
//
// It is the only user of database/sql. It does not know whether a machine really
// runs (a held lock proves that), starts nothing, and keeps no image. The engine
// calls it, and any number of vpod processes have the file open at once, inside
// and outside the user namespace: uniqueness of names and the order of states
// are the database's to hold, and every transaction is short.
package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // the "sqlite3" driver
)

// Store is an open state database. It is safe for concurrent use; transactions
// of one Store run one after the other.
type Store struct {
	db   *sql.DB
	path string
}

// options of every connection. Transactions take the write lock when they begin:
// one that reads first and writes later could not wait for the lock in between
// ("database is locked" at once, whatever the timeout).
const options = "?_busy_timeout=10000&_journal_mode=WAL&_synchronous=NORMAL&_txlock=immediate&_foreign_keys=on"

// busyTimeout is how long others may hold the database, as in options; busyPause is
// between two tries where sqlite does not wait by itself.
const (
	busyTimeout = 10 * time.Second
	busyPause   = 5 * time.Millisecond
)

// Open opens the database at path, makes it (mode 0600, its directory must
// exist) when there is none, and brings its tables up to date. The caller closes
// the Store.
//
// A database written by a later vpod gives a *VersionError, an unreadable one an
// error that wraps ErrDamaged.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("state database: %w", err)
	}
	// sqlite would create the file readable to all, and gives the files beside it
	// (-wal, -shm) the same mode.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, openError(path, err)
	}
	if err := f.Close(); err != nil {
		return nil, openError(path, err)
	}

	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+options)
	if err != nil {
		return nil, openError(path, err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, path: path}
	if err := s.migrate(ctx); err != nil {
		_ = db.Close() // the first error says more
		return nil, err
	}
	return s, nil
}

// Close releases the database. The last one to close it folds the write-ahead
// log into the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return s.wrap("close", err)
	}
	return nil
}

// inTx runs do in one transaction that holds the write lock from its start, and
// rolls back when do fails. Errors of do come back as they are; do reports
// sqlite's own through wrap.
func (s *Store) inTx(ctx context.Context, step string, do func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap(step, err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // nothing was written; the first error says more
		return err
	}
	if err := tx.Commit(); err != nil {
		return s.wrap(step, err)
	}
	return nil
}

// timeFormat is RFC3339Nano with a fixed width, so that text sorts as time does.
const timeFormat = "2006-01-02T15:04:05.000000000Z"

// formatTime prints a time for a column; the zero time is "".
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(timeFormat)
}

// parseTime reads what formatTime printed.
func parseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, s)
}
