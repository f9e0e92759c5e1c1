package cli

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"vpod/pkg/engine"
)

// Terminal is what vpod's standard streams are connected with. Streams are 0,
// 1 and 2.
type Terminal interface {
	IsTerminal(stream int) bool
	// Size returns the size of the terminal at one of the streams.
	Size() (engine.Size, error)
	// MakeRaw puts the terminal at standard input into raw mode. The caller
	// must call restore, which may be called more than once.
	MakeRaw() (restore func() error, err error)
	// ReadPassword reads a line from the terminal at a stream without showing it.
	ReadPassword(stream int) ([]byte, error)
}

// systemTerminal is the process's own.
type systemTerminal struct{}

func (systemTerminal) IsTerminal(stream int) bool { return term.IsTerminal(stream) }

func (systemTerminal) Size() (engine.Size, error) {
	for _, stream := range []int{0, 1, 2} {
		if cols, rows, err := term.GetSize(stream); err == nil {
			return engine.Size{Rows: clampSize(rows), Cols: clampSize(cols)}, nil
		}
	}
	return engine.Size{}, fmt.Errorf("terminal size: no standard stream is a terminal")
}

func (systemTerminal) MakeRaw() (func() error, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("put the terminal into raw mode: %w", err)
	}
	return func() error { return term.Restore(fd, before) }, nil
}

func (systemTerminal) ReadPassword(stream int) ([]byte, error) { return term.ReadPassword(stream) }

func clampSize(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }
