package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("no such container")
	ErrExists    = errors.New("container already exists")
	ErrNameInUse = errors.New("that name is already in use")
	ErrAmbiguous = errors.New("the name or id fits more than one container")
	ErrDamaged   = errors.New("database is damaged")
	ErrFull      = errors.New("no space left on the disk")
)

// NotFoundError reports a name or id that fits no container; it is ErrNotFound.
type NotFoundError struct {
	NameOrID string
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("no container with name or ID %q found: %s", e.NameOrID, ErrNotFound)
}

// Is makes every NotFoundError an ErrNotFound.
func (e *NotFoundError) Is(target error) bool { return target == ErrNotFound }

// NameInUseError reports a new container whose name another one has; it is
// ErrNameInUse.
type NameInUseError struct {
	Name   string
	Holder string // id of the container that has the name
}

func (e *NameInUseError) Error() string {
	return fmt.Sprintf("the container name %q is already in use by %s. You have to remove that container to be able to reuse that name: %s", e.Name, e.Holder, ErrNameInUse)
}

// Is makes every NameInUseError an ErrNameInUse.
func (e *NameInUseError) Is(target error) bool { return target == ErrNameInUse }

// AmbiguousError reports an id prefix that fits several containers; it is
// ErrAmbiguous.
type AmbiguousError struct {
	Prefix  string
	Matches []string // "short id (name)", sorted
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("more than one container has an ID that begins with %q: %s: give more digits, or the name", e.Prefix, strings.Join(e.Matches, ", "))
}

// Is makes every AmbiguousError an ErrAmbiguous.
func (e *AmbiguousError) Is(target error) bool { return target == ErrAmbiguous }

// DamagedRowsError reports containers whose rows cannot be read; it is
// ErrDamaged. They can still be deleted by id.
type DamagedRowsError struct {
	Rows []DamagedRow
}

// DamagedRow is one unreadable container. The id and name are sound: they are
// columns of their own.
type DamagedRow struct {
	ID   string
	Name string
	Err  error
}

func (e *DamagedRowsError) Error() string {
	var b strings.Builder
	for i, r := range e.Rows {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "container %s (%s): %s: %v", shortID(r.ID), r.Name, ErrDamaged, r.Err)
	}
	return b.String()
}

// Is makes every DamagedRowsError an ErrDamaged.
func (e *DamagedRowsError) Is(target error) bool { return target == ErrDamaged }

// VersionError reports a database written by a later vpod.
type VersionError struct {
	Path string
	Have int // the database's version
	Know int // the highest this vpod knows
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("state database %s was written by a newer vpod (its format is %d, this vpod knows up to %d): use that vpod, or another --root", e.Path, e.Have, e.Know)
}

// openError says why the database file could not be opened or made, and what to do.
func openError(path string, err error) error {
	var hint string
	switch {
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		hint = ": vpod must be able to write there; make it writable, set XDG_DATA_HOME, or give --root"
	case errors.Is(err, syscall.EISDIR):
		hint = ": a directory stands in its place; move it away"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = ": free some space"
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err // the path is in the text already
	}
	return fmt.Errorf("open state database %s: %w%s", path, err, hint)
}

// wrap names the step and the file, and says in plain words what sqlite's code
// means for the user.
func (s *Store) wrap(step string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: state database: %w", step, err)
	}
	var se sqlite3.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("%s: state database %s: %w", step, s.path, err)
	}
	switch se.Code {
	case sqlite3.ErrCorrupt, sqlite3.ErrNotADB:
		return fmt.Errorf("%s: state %w: %s: %w; move the file away to begin anew (containers known to it are lost, images are not), or restore a copy",
			step, ErrDamaged, s.path, err)
	case sqlite3.ErrReadonly, sqlite3.ErrCantOpen, sqlite3.ErrPerm:
		return fmt.Errorf("%s: state database %s: %w: vpod must be able to write the file and its directory; make them writable, set XDG_DATA_HOME, or give --root",
			step, s.path, err)
	case sqlite3.ErrFull:
		return fmt.Errorf("%s: state database %s: %w (%w): free some space, for example with `vpod rm`", step, s.path, ErrFull, err)
	case sqlite3.ErrBusy:
		return fmt.Errorf("%s: state database %s: %w: another vpod has held it for ten seconds; look for a stopped vpod process", step, s.path, err)
	}
	return fmt.Errorf("%s: state database %s: %w", step, s.path, err)
}

// isBusy reports whether err says that others have the database.
func isBusy(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrBusy
}

// isConstraint reports whether err is one of the given constraint violations.
func isConstraint(err error, kinds ...sqlite3.ErrNoExtended) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && slices.Contains(kinds, se.ExtendedCode)
}

// shortID is the form of an id people see.
func shortID(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
