package seccomp

import (
	"errors"
	"strings"
)

// ErrTooLarge is returned by Compile when the program would exceed the
// kernel's limit of 4096 instructions.
var ErrTooLarge = errors.New("seccomp profile compiles to more than the 4096 instructions the kernel takes: " +
	"use fewer argument conditions or architectures")

// ProfileError reports a profile that cannot be read or used.
type ProfileError struct {
	Path    string // file the profile came from, or empty
	At      string // place inside the profile, such as "syscalls[3].action", or empty
	Problem string // what is wrong
	Hint    string // what to do, or empty
	Err     error  // cause, or nil
}

func (e *ProfileError) Error() string {
	var b strings.Builder
	b.WriteString("seccomp profile")
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.At != "" {
		b.WriteString(": " + e.At)
	}
	b.WriteString(": " + e.Problem)
	if e.Hint != "" {
		b.WriteString(": " + e.Hint)
	}
	return b.String()
}

func (e *ProfileError) Unwrap() error { return e.Err }
