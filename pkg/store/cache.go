package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Cached returns what SetCached kept under key; ok is false when nothing was.
// Whoever reads a value must be able to do without it.
func (s *Store) Cached(ctx context.Context, key string) (value string, ok bool, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT value FROM cache WHERE key = ?", key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, s.wrap("read cached "+key, err)
	}
	return value, true, nil
}

// SetCached keeps value under key, in place of what was there.
func (s *Store) SetCached(ctx context.Context, key, value string) error {
	_, err := s.db.ExecContext(ctx,
		"INSERT INTO cache (key, value, saved) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, saved = excluded.saved",
		key, value, formatTime(time.Now()))
	if err != nil {
		return s.wrap("keep cached "+key, err)
	}
	return nil
}
