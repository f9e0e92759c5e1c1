package image

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long the store may be held by another process before the user
// is told.
const patience = time.Second

// lockPoll is how often a held store is looked at again. The store's locks are
// POSIX record locks: waiting for one cannot be interrupted by a context, and
// opening and closing the file to try would drop the locks this very process
// holds. So they are only looked at, in /proc/locks.
const lockPoll = 20 * time.Millisecond

// lockWatch looks at the locks of a store.
type lockWatch struct {
	root string           // graph root
	tell func(holder int) // may be nil
	once sync.Once        // tells
}

// await returns when no other process writes to the store, or when ctx ends.
func (w *lockWatch) await(ctx context.Context) error {
	var since time.Time
	for {
		holder := storeHolder(w.root)
		if holder == 0 {
			return nil
		}
		switch {
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= patience:
			w.told(holder)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d to let go of the image store: %w", holder, context.Cause(ctx))
		case <-time.After(lockPoll):
		}
	}
}

// watch tells the user if another process holds the store a second from now and
// stop has not been called. It stands by calls that wait by themselves.
func (w *lockWatch) watch() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-quit:
		case <-time.After(patience):
			if holder := storeHolder(w.root); holder != 0 {
				w.told(holder)
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

func (w *lockWatch) told(holder int) {
	w.once.Do(func() {
		if w.tell != nil {
			w.tell(holder)
		}
	})
}

// storeHolder returns the id of another process that has a store locked for
// writing, or 0.
func storeHolder(root string) int {
	locks, _ := filepath.Glob(filepath.Join(root, "*-layers", "layers.lock"))
	locks = append(locks, filepath.Join(root, "storage.lock"))
	var wanted []string
	for _, path := range locks {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil {
			wanted = append(wanted, fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino))
		}
	}
	if len(wanted) == 0 {
		return 0
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return 0
	}
	defer f.Close()
	return findHolder(bufio.NewScanner(f), wanted, os.Getpid())
}

// findHolder looks through the lines of /proc/locks, proc(5), for a write lock
// on one of the wanted files, "major:minor:inode", that is not self's.
func findHolder(lines *bufio.Scanner, wanted []string, self int) int {
	for lines.Scan() {
		// 1: POSIX  ADVISORY  WRITE 1234 fd:00:5678 0 EOF; a line of a process
		// that waits has "->" after the number.
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[1] == "->" || f[3] != "WRITE" {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err != nil || pid == self || pid <= 0 {
			continue
		}
		for _, file := range wanted {
			if f[5] == file {
				return pid
			}
		}
	}
	return 0
}
