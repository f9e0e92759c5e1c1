package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vpod/pkg/filelock"
)

// Names below a cache's directory, after the image id.
const (
	imageSuffix = ".erofs" // a finished file
	lockSuffix  = ".lock"  // held while the image is converted or removed
	tempSuffix  = ".tmp"   // a conversion under way, or left by one that was killed
)

// Cache is a directory with one EROFS file per image id. Any number of
// processes may use the same directory at once.
type Cache struct {
	dir string
	log *slog.Logger

	mkfs string // program to convert with; tests replace it
}

// NewCache returns the cache in dir, which is created (mode 0700) when first
// needed.
func NewCache(dir string, log *slog.Logger) *Cache {
	return &Cache{dir: dir, log: log, mkfs: "mkfs.erofs"}
}

// Entry is one finished file of a cache.
type Entry struct {
	ImageID   string
	Path      string
	SizeBytes int64
	Made      time.Time
}

// Lookup returns the file of an image when it is there and whole. It opens
// nothing but that file and takes no lock: a start that finds its image here
// needs neither the image store nor mkfs.erofs.
func (c *Cache) Lookup(imageID string) (path string, ok bool) {
	if checkImageID(imageID) != nil {
		return "", false
	}
	path = c.path(imageID)
	if err := checkErofs(path); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("ignoring a damaged root disk; it will be made again", "path", path, "error", err)
		}
		return "", false
	}
	return path, true
}

// List returns the finished files, by image id.
func (c *Cache) List() ([]Entry, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, name := range names {
		id, ok := strings.CutSuffix(name, imageSuffix)
		if !ok || checkImageID(id) != nil {
			continue
		}
		info, err := os.Stat(c.path(id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list root disks: %w", err)
		}
		entries = append(entries, Entry{ImageID: id, Path: c.path(id), SizeBytes: info.Size(), Made: info.ModTime()})
	}
	return entries, nil
}

// Remove deletes the file of an image and what killed conversions left of it. A
// conversion of the image that is under way is waited for. Machines that run
// from the file keep it until they end. A file that is not there is no error.
func (c *Cache) Remove(ctx context.Context, imageID string) error {
	if err := checkImageID(imageID); err != nil {
		return err
	}
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := c.lock(ctx, imageID, nil)
	if err != nil {
		return fmt.Errorf("remove root disk of image %s: %w", short(imageID), err)
	}
	defer unlock()
	c.sweep(imageID)
	if err := os.Remove(c.path(imageID)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove root disk of image %s: %w", short(imageID), err)
	}
	return nil
}

// Prune deletes the files of images that keep refuses, and everything killed
// conversions have left. Images being converted are passed over. It returns
// what it deleted.
func (c *Cache) Prune(ctx context.Context, keep func(imageID string) bool) ([]Entry, error) {
	names, err := c.names()
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(names))
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		if checkImageID(id) == nil {
			ids = append(ids, id)
		}
	}
	var gone []Entry
	var errs []error
	for _, id := range slices.Compact(ids) {
		if err := ctx.Err(); err != nil {
			return gone, errors.Join(append(errs, err)...)
		}
		unlock, err := c.tryLock(id)
		if errors.Is(err, filelock.ErrHeld) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.sweep(id)
		if info, err := os.Stat(c.path(id)); err == nil && !keep(id) {
			if err := os.Remove(c.path(id)); err != nil {
				errs = append(errs, fmt.Errorf("remove root disk: %w", err))
			} else {
				gone = append(gone, Entry{ImageID: id, Path: c.path(id), SizeBytes: info.Size(), Made: info.ModTime()})
			}
		}
		unlock()
	}
	return gone, errors.Join(errs...)
}

func (c *Cache) path(imageID string) string { return filepath.Join(c.dir, imageID+imageSuffix) }

// names lists the directory, sorted; a directory that is not there is empty.
func (c *Cache) names() ([]string, error) {
	entries, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list root disks: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// sweep deletes what killed conversions of an image left. The caller holds the
// image's lock, so none is under way.
func (c *Cache) sweep(imageID string) {
	left, err := filepath.Glob(filepath.Join(c.dir, imageID+".*"+tempSuffix))
	if err != nil {
		return // only a bad pattern
	}
	for _, path := range left {
		c.log.Debug("removing what a killed conversion left", "path", path)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("cannot remove what a killed conversion left", "path", path, "error", err)
		}
	}
}

// lockPoll is how often lock looks again at a lock that is held.
const lockPoll = 50 * time.Millisecond

// lock takes the lock of an image, calling waiting once when it must wait.
func (c *Cache) lock(ctx context.Context, imageID string, waiting func()) (unlock func(), err error) {
	for {
		unlock, err := c.tryLock(imageID)
		if !errors.Is(err, filelock.ErrHeld) {
			return unlock, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

// lockAttempts bounds how often a lock is taken whose file goes meanwhile.
const lockAttempts = 1000

// tryLock takes the lock of an image, or returns filelock.ErrHeld. Unlocking
// deletes the lock file, so that none is left when nothing goes on; who has just
// locked a file that its former holder deletes tries again.
func (c *Cache) tryLock(imageID string) (unlock func(), err error) {
	path := filepath.Join(c.dir, imageID+lockSuffix)
	for attempt := 1; ; attempt++ {
		f, err := filelock.TryLock(path)
		if errors.Is(err, fs.ErrNotExist) && attempt < lockAttempts {
			if _, missing := os.Stat(c.dir); missing == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		return func() {
			os.Remove(path) // left behind it would do no harm
			f.Close()
		}, nil
	}
}

// checkImageID refuses what is no image id, so that no name leaves the directory.
func checkImageID(id string) error {
	if len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("%q is no image id: it must be 64 hexadecimal digits", id)
	}
	return nil
}

// short is an id as people read it.
func short(id string) string { return id[:min(12, len(id))] }
