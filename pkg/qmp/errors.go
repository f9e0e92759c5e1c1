package qmp

import (
	"errors"
	"fmt"
)

// Reasons for the end of a session. Monitor.Err and every command after the end wrap one of them.
var (
	// ErrGone: QEMU closed its end, which it does only by exiting.
	ErrGone = errors.New("QEMU is gone")
	// ErrClosed: Disconnect was called on our side.
	ErrClosed = errors.New("QMP session closed")
	// ErrProtocol: QEMU sent something that is not QMP, or more than MaxMessageBytes of it.
	ErrProtocol = errors.New("QMP protocol violated")
)

// ErrorClass is QEMU's machine-readable kind of a refused command (qapi/error.json, QapiErrorClass).
type ErrorClass string

// The classes QEMU knows. Nearly everything is ClassGeneric.
const (
	ClassGeneric         ErrorClass = "GenericError"
	ClassCommandNotFound ErrorClass = "CommandNotFound"
	ClassDeviceNotActive ErrorClass = "DeviceNotActive"
	ClassDeviceNotFound  ErrorClass = "DeviceNotFound"
	ClassKVMMissingCap   ErrorClass = "KVMMissingCap"
)

// Error is QEMU's refusal of one command; the session goes on.
type Error struct {
	Command string     // name of the refused command
	Class   ErrorClass // what callers branch on
	Desc    string     // QEMU's text, for people
}

func (e *Error) Error() string {
	if e.Class == ClassGeneric || e.Class == "" {
		return fmt.Sprintf("QMP %s: %s", e.Command, e.Desc)
	}
	return fmt.Sprintf("QMP %s: %s (%s)", e.Command, e.Desc, e.Class)
}

// HasClass reports whether err is, or wraps, a refusal of the given class.
func HasClass(err error, class ErrorClass) bool {
	var e *Error
	return errors.As(err, &e) && e.Class == class
}
