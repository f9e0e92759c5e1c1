package builder

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	cstorage "github.com/containers/storage"

	"vpod/pkg/filelock"
)

// job is a build under way: a directory with a lock, whose name is part of the names
// of the build's working containers. What a killed build has left is thereby known,
// and removed by the next one.
type job struct {
	place Place
	token string
	dir   string
	lock  *os.File
	store cstorage.Store

	keepers keepers
}

// containerMark, and a token, is in the name of a working container.
const containerMark = "vpod-build-"

// lockFile is held as long as the build goes on.
const lockFile = "lock"

func begin(place Place, store cstorage.Store) (*job, error) {
	if place.Vpod == "" || place.Work == "" {
		return nil, errors.New("vpod-build is started by `vpod build`")
	}
	if err := os.MkdirAll(place.Work, 0o700); err != nil {
		return nil, err
	}
	sweep(place.Work, store)
	var b [8]byte
	rand.Read(b[:]) // never fails
	j := &job{place: place, token: hex.EncodeToString(b[:]), store: store}
	j.dir = filepath.Join(place.Work, j.token)
	if err := os.Mkdir(j.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if j.lock, err = filelock.TryLock(filepath.Join(j.dir, lockFile)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(j.dir))
	}
	return j, nil
}

// end lets go of the build's directory.
func (j *job) end() {
	j.endKeepers()
	dropContainers(j.store, j.token) // those of a step that was interrupted
	if err := removeJob(j.dir); err != nil {
		fmt.Fprintln(os.Stderr, "Warning:", err)
	}
	j.lock.Close()
}

// sweep removes what builds have left that are gone. A failure leaves it to the next.
func sweep(work string, store cstorage.Store) {
	entries, err := os.ReadDir(work)
	if err != nil {
		return
	}
	for _, e := range entries {
		dir := filepath.Join(work, e.Name())
		lock, err := filelock.TryLock(filepath.Join(dir, lockFile))
		if err != nil {
			continue // it goes on, or has gone
		}
		dropContainers(store, e.Name())
		_ = removeJob(dir)
		lock.Close()
	}
}

// dropContainers deletes the working containers of a build.
func dropContainers(store cstorage.Store, token string) {
	all, err := store.Containers()
	if err != nil {
		return
	}
	for _, c := range all {
		for _, name := range c.Names {
			if strings.Contains(name, containerMark+token) {
				_, _ = store.Unmount(c.ID, true)
				_ = store.DeleteContainer(c.ID)
				break
			}
		}
	}
}

// removeJob removes a build's directory. Trees in it are mount points of processes
// that are gone; one that is still mounted keeps its directory, and what is in it.
func removeJob(dir string) error {
	trees, err := filepath.Glob(filepath.Join(dir, "oci", "*", "tree"))
	if err != nil {
		return err
	}
	for _, tree := range trees {
		if err := os.Remove(tree); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.RemoveAll(dir)
}
