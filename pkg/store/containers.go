package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mattn/go-sqlite3"

	"vpod/pkg/container"
)

// Insert adds a container. The record's ID is the spec's. A *NameInUseError
// says who has the name; ErrExists that the id is taken.
func (s *Store) Insert(ctx context.Context, spec container.Spec, record container.Record) error {
	if spec.ID == "" || spec.Name == "" {
		return fmt.Errorf("insert container: the spec has no id or no name")
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("insert container %s: %w", spec.Name, err)
	}
	record.ID = spec.ID
	step := "insert container " + spec.Name
	return s.inTx(ctx, step, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO containers (id, name, image_id, created, spec) VALUES (?, ?, ?, ?, ?)",
			spec.ID, spec.Name, spec.Image.ID, formatTime(spec.Created), string(text))
		switch {
		case isConstraint(err, sqlite3.ErrConstraintPrimaryKey):
			return fmt.Errorf("insert container %s: id %s: %w", spec.Name, spec.ID, ErrExists)
		case isConstraint(err, sqlite3.ErrConstraintUnique):
			inUse := &NameInUseError{Name: spec.Name}
			if err := tx.QueryRowContext(ctx, "SELECT id FROM containers WHERE name = ?", spec.Name).Scan(&inUse.Holder); err != nil {
				return s.wrap(step, err)
			}
			return inUse
		case err != nil:
			return s.wrap(step, err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO records (id, state, started_at, finished_at, exit_code, error, oom_killed, restart_count, stopped_by_user, monitor_pid)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			record.ID, string(record.State), formatTime(record.StartedAt), formatTime(record.FinishedAt), record.ExitCode,
			record.Error, record.OOMKilled, record.RestartCount, record.StoppedByUser, record.MonitorPID)
		if err != nil {
			return s.wrap(step, err)
		}
		return nil
	})
}

// recordColumns are read by scanRecord.
const recordColumns = "r.id, r.state, r.started_at, r.finished_at, r.exit_code, r.error, r.oom_killed, r.restart_count, r.stopped_by_user, r.monitor_pid"

// selectContainers is completed by a WHERE or ORDER BY clause and read by readContainers.
const selectContainers = "SELECT c.id, c.name, c.spec, " + recordColumns + " FROM containers c JOIN records r ON r.id = c.id "

// Get returns the container with the given name, id, or unambiguous beginning of
// an id, looked for in this order. Errors: *NotFoundError, *AmbiguousError,
// *DamagedRowsError.
func (s *Store) Get(ctx context.Context, nameOrID string) (container.Container, error) {
	// One statement, and so one view of the database. The condition on ids is a
	// range in place of LIKE: it uses the index, and no character of it is special.
	where, args := "WHERE c.name = ?", []any{nameOrID}
	if isHex(nameOrID) {
		where += " OR (c.id >= ? AND c.id < ?)"
		args = append(args, nameOrID, nameOrID+"g")
	}
	found, err := s.readContainers(ctx, where, args...)
	var damaged *DamagedRowsError
	if err != nil && !errors.As(err, &damaged) {
		return container.Container{}, err
	}

	// The damaged ones take part in the choice: else `rm` of a prefix could hit
	// another container than the one meant.
	type match struct {
		id, name string
		c        container.Container
		row      *DamagedRow
	}
	var matches []match
	for _, c := range found {
		matches = append(matches, match{id: c.Spec.ID, name: c.Spec.Name, c: c})
	}
	if damaged != nil {
		for i, r := range damaged.Rows {
			matches = append(matches, match{id: r.ID, name: r.Name, row: &damaged.Rows[i]})
		}
	}
	chosen := -1
	for i, m := range matches {
		if m.name == nameOrID {
			chosen = i
			break
		}
		if m.id == nameOrID {
			chosen = i
		}
	}
	switch {
	case chosen >= 0:
	case len(matches) == 0:
		return container.Container{}, &NotFoundError{NameOrID: nameOrID}
	case len(matches) == 1:
		chosen = 0
	default:
		e := &AmbiguousError{Prefix: nameOrID}
		for _, m := range matches {
			e.Matches = append(e.Matches, fmt.Sprintf("%s (%s)", shortID(m.id), m.name))
		}
		slices.Sort(e.Matches)
		return container.Container{}, e
	}
	if row := matches[chosen].row; row != nil {
		return container.Container{}, &DamagedRowsError{Rows: []DamagedRow{*row}}
	}
	return matches[chosen].c, nil
}

// List returns every container, the oldest first. Rows that cannot be read are
// left out and reported by a *DamagedRowsError beside the others: a caller that
// only shows containers prints it and goes on.
func (s *Store) List(ctx context.Context) ([]container.Container, error) {
	return s.readContainers(ctx, "ORDER BY c.created, c.id")
}

// ByImage returns the containers made from the image with the given id, the
// oldest first; errors are as List's.
func (s *Store) ByImage(ctx context.Context, imageID string) ([]container.Container, error) {
	return s.readContainers(ctx, "WHERE c.image_id = ? ORDER BY c.created, c.id", imageID)
}

// readContainers runs selectContainers with the given clause.
func (s *Store) readContainers(ctx context.Context, clause string, args ...any) (list []container.Container, err error) {
	const step = "read containers"
	rows, err := s.db.QueryContext(ctx, selectContainers+clause, args...)
	if err != nil {
		return nil, s.wrap(step, err)
	}
	defer func() { _ = rows.Close() }() // Err below has its error
	var damaged DamagedRowsError
	for rows.Next() {
		var id, name, spec string
		var c container.Container
		times, err := scanRecord(rows, &c.Record, &id, &name, &spec)
		if err != nil {
			return nil, s.wrap(step, err)
		}
		if err := decode(&c, spec, times); err != nil {
			damaged.Rows = append(damaged.Rows, DamagedRow{ID: id, Name: name, Err: err})
			continue
		}
		if c.Spec.ID != id || c.Spec.Name != name {
			damaged.Rows = append(damaged.Rows, DamagedRow{ID: id, Name: name, Err: errors.New("its specification names another container")})
			continue
		}
		list = append(list, c)
	}
	if err := rows.Err(); err != nil {
		return nil, s.wrap(step, err)
	}
	if len(damaged.Rows) > 0 {
		return list, &damaged
	}
	return list, nil
}

// recordTimes are a record's times as stored.
type recordTimes struct{ started, finished string }

// scanRecord reads recordColumns into r, after the columns in before.
func scanRecord(row interface{ Scan(...any) error }, r *container.Record, before ...any) (recordTimes, error) {
	var t recordTimes
	var state string
	err := row.Scan(append(before, &r.ID, &state, &t.started, &t.finished, &r.ExitCode, &r.Error,
		&r.OOMKilled, &r.RestartCount, &r.StoppedByUser, &r.MonitorPID)...)
	r.State = container.State(state)
	return t, err
}

// decode completes c from the columns that are text with a form.
func decode(c *container.Container, spec string, t recordTimes) error {
	if err := json.Unmarshal([]byte(spec), &c.Spec); err != nil {
		return fmt.Errorf("read its specification: %w", err)
	}
	return decodeRecord(&c.Record, t)
}

// decodeRecord completes r.
func decodeRecord(r *container.Record, t recordTimes) (err error) {
	if !slices.Contains(container.States(), r.State) {
		return fmt.Errorf("read its record: unknown state %q", r.State)
	}
	if r.StartedAt, err = parseTime(t.started); err != nil {
		return fmt.Errorf("read its record: %w", err)
	}
	if r.FinishedAt, err = parseTime(t.finished); err != nil {
		return fmt.Errorf("read its record: %w", err)
	}
	return nil
}

// Update changes the record of the container with the given full id: change gets
// the record as stored, and what it leaves there is written, all in one
// transaction. change must be quick, and may be called once only.
//
// A new State must be one that container.State.CanBecome allows, else a
// *container.StateError comes back and nothing is written. An error of change is
// returned as it is and nothing is written. Other errors: *NotFoundError,
// *DamagedRowsError.
func (s *Store) Update(ctx context.Context, id string, change func(*container.Record) error) error {
	step := "update container " + shortID(id)
	return s.inTx(ctx, step, func(tx *sql.Tx) error {
		var r container.Record
		var name string
		times, err := scanRecord(
			tx.QueryRowContext(ctx, "SELECT c.name, "+recordColumns+" FROM records r JOIN containers c ON c.id = r.id WHERE r.id = ?", id), &r, &name)
		if errors.Is(err, sql.ErrNoRows) {
			return &NotFoundError{NameOrID: id}
		}
		if err != nil {
			return s.wrap(step, err)
		}
		if err := decodeRecord(&r, times); err != nil {
			return &DamagedRowsError{Rows: []DamagedRow{{ID: id, Name: name, Err: err}}}
		}
		before := r
		if err := change(&r); err != nil {
			return err
		}
		if r == before {
			return nil
		}
		if r.State != before.State && !before.State.CanBecome(r.State) {
			return &container.StateError{Name: name, Have: before.State, Verb: verbs[r.State]}
		}
		_, err = tx.ExecContext(ctx, `UPDATE records SET state = ?, started_at = ?, finished_at = ?, exit_code = ?, error = ?,
			oom_killed = ?, restart_count = ?, stopped_by_user = ?, monitor_pid = ? WHERE id = ?`,
			string(r.State), formatTime(r.StartedAt), formatTime(r.FinishedAt), r.ExitCode, r.Error,
			r.OOMKilled, r.RestartCount, r.StoppedByUser, r.MonitorPID, id)
		if err != nil {
			return s.wrap(step, err)
		}
		return nil
	})
}

// verbs name the step into each state, for a StateError.
var verbs = map[container.State]string{
	container.Created:  "reset",
	container.Starting: "start",
	container.Running:  "run",
	container.Stopping: "stop",
	container.Exited:   "end",
	container.Removing: "remove",
}

// Delete removes the container with the given full id and its record; a
// *NotFoundError when there is none. Damaged rows can be deleted.
func (s *Store) Delete(ctx context.Context, id string) error {
	step := "delete container " + shortID(id)
	result, err := s.db.ExecContext(ctx, "DELETE FROM containers WHERE id = ?", id)
	if err != nil {
		return s.wrap(step, err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return s.wrap(step, err)
	}
	if n == 0 {
		return &NotFoundError{NameOrID: id}
	}
	return nil
}

// isHex reports whether s could be the beginning of an id.
func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}
