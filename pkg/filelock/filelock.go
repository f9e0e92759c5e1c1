// Package filelock locks files between processes with open-file-description
// locks: they pass to a child with the descriptor, vanish with the last process
// that holds it, however it dies, and can be looked at without being taken.
//
// The engine locks a container while it starts or removes it, the monitor holds
// the liveness lock handed to it for as long as it lives.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHeld reports that somebody else holds the lock.
var ErrHeld = errors.New("lock is held by another process")

// pollInterval is how often Lock looks again; F_OFD_SETLKW could not be
// interrupted by a context.
const pollInterval = 5 * time.Millisecond

// TryLock takes the lock on path, creating the file (mode 0600) when missing.
// The lock is held until the returned file is closed here and in every process
// it was passed to. It returns an error that is ErrHeld when it is taken, and one
// that is fs.ErrNotExist when the directory is not there, or is being removed.
func TryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := take(f, path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// take locks the open file f and makes sure that path still means it: its holder
// may have removed it since it was opened, and a lock on a file without a name
// keeps nobody out.
func take(f *os.File, path string) error {
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return fmt.Errorf("%s: %w", path, ErrHeld)
		}
		return fmt.Errorf("lock %s: %w", path, err)
	}
	have, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at lock %s: %w", path, err)
	}
	named, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at lock %s: %w", path, err)
	}
	if !os.SameFile(have, named) {
		return fmt.Errorf("lock %s was made anew: %w", path, ErrHeld) // by whoever holds the new one
	}
	return nil
}

// Lock is TryLock that waits until the lock is free or ctx ends.
func Lock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := TryLock(path)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for lock %s: %w", path, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// Held reports whether another process holds the lock on path, without taking
// it. A file that does not exist is not held.
func Held(path string) (bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open lock file: %w", err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock); err != nil {
		return false, fmt.Errorf("look at lock %s: %w", path, err)
	}
	return lock.Type != unix.F_UNLCK, nil
}

// AwaitFree waits until no other process holds the lock on path, or ctx ends. It
// never takes the lock itself, so those who look at it are not misled; somebody
// else may have it again by the time this returns.
func AwaitFree(ctx context.Context, path string) error {
	for {
		held, err := Held(path)
		if err != nil || !held {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lock %s: %w", path, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}
