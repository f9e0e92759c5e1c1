package engine

import (
	"errors"
	"fmt"

	"vpod/pkg/image"
	"vpod/pkg/store"
	"vpod/pkg/template"
)

// Exit codes of commands that start processes, as Podman and Docker define
// them (podman-run(1), "Exit Status").
const (
	ExitOwnFailure    = 125 // vpod itself failed
	ExitNotExecutable = 126 // the command cannot be executed
	ExitNotFound      = 127 // the command does not exist
)

// ErrDetached ends an attached verb when the user typed the detach keys; the
// process runs on.
var ErrDetached = errors.New("detached from container")

// What the door tells apart, by the names it knows.
var (
	ErrNoContainer = store.ErrNotFound // no container of that name or id
	ErrNoImage     = image.ErrNotFound // no such image in the local store
	ErrImageInUse  = image.ErrInUse    // containers hold the image
	ErrNoTemplate  = template.ErrNone  // no machine template of that key
)

// ExitError carries the exit code a failed verb asks for.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// HintError is an error with what to do about it.
type HintError struct {
	Err  error
	Hint string // one sentence
}

func (e *HintError) Error() string { return fmt.Sprintf("%v: %s", e.Err, e.Hint) }

// Unwrap returns the cause.
func (e *HintError) Unwrap() error { return e.Err }
