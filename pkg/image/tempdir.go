package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/common/libimage"

	"vpod/pkg/filelock"
)

// bulk returns the runtime for what needs room for big passing files: pulling,
// loading and saving. With Options.TempDir they go to a directory there that is
// this process's own and goes with Close; the ones killed processes left are
// removed. Without, they go where Podman's do, and stay when vpod is killed.
func (s *Store) bulk(rt *libimage.Runtime) (*libimage.Runtime, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.opts.TempDir == "":
		return rt, nil
	case s.bulkRuntime != nil:
		return s.bulkRuntime, nil
	}
	dir, err := s.passingLocked()
	if err != nil {
		return nil, err
	}
	sys := rt.SystemContext()
	sys.BigFilesTemporaryDir = dir
	bulk, err := libimage.RuntimeFromStore(s.store, &libimage.RuntimeOptions{SystemContext: sys})
	if err != nil {
		return nil, fmt.Errorf("make room for passing files: %w", err)
	}
	s.bulkRuntime = bulk
	return bulk, nil
}

// passing is the directory for big passing files, made when it is first needed;
// "" leaves it to the libraries.
func (s *Store) passing() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passingLocked()
}

// passingLocked is passing for who holds s.mu.
func (s *Store) passingLocked() (string, error) {
	if s.opts.TempDir == "" {
		return "", nil
	}
	if s.tempDir == nil {
		dir, err := ownTempDir(s.opts.TempDir)
		if err != nil {
			return "", fmt.Errorf("make room for passing files: %w", err)
		}
		s.tempDir = dir
	}
	return s.tempDir.path, nil
}

// openBulk is open, then bulk.
func (s *Store) openBulk(ctx context.Context) (*libimage.Runtime, error) {
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.bulk(rt)
}

// tempDir is a directory that is locked while its process lives.
type tempDir struct {
	path string
	lock *os.File // of path + ".lock"
}

func (d *tempDir) remove() {
	os.RemoveAll(d.path)
	os.Remove(d.lock.Name())
	d.lock.Close()
}

// ownTempDir makes a directory below parent and removes those of processes that
// are gone.
func ownTempDir(parent string) (*tempDir, error) {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(parent, "copy-*.lock"))
	for _, path := range left {
		lock, err := filelock.TryLock(path)
		if errors.Is(err, filelock.ErrHeld) || errors.Is(err, os.ErrNotExist) { // or another one was faster
			continue
		}
		if err != nil {
			return nil, err
		}
		(&tempDir{path: path[:len(path)-len(".lock")], lock: lock}).remove()
	}
	// Directory and lock are named alike; the lock comes first, so that whoever
	// finds the one finds the other held.
	for i := 0; ; i++ {
		path := filepath.Join(parent, fmt.Sprintf("copy-%d-%d", os.Getpid(), i))
		lock, err := filelock.TryLock(path + ".lock")
		if errors.Is(err, filelock.ErrHeld) || errors.Is(err, os.ErrNotExist) { // taken for a leftover before it was locked
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			lock.Close()
			if errors.Is(err, os.ErrExist) {
				continue
			}
			return nil, err
		}
		return &tempDir{path: path, lock: lock}, nil
	}
}
