package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"vpod/pkg/agentproto"
	"vpod/pkg/filelock"
	"vpod/pkg/qemu"
)

// Names below a Store's directory.
const (
	ramName      = "ram"
	stateName    = "state"
	infoName     = "template.json"
	verifiedName = "verified.json"

	lockSuffix = ".lock" // after a key: held while its template is made or removed
	tempSuffix = ".tmp"  // of a template being made, or left by a command that was killed
)

// maxKept bounds how many templates a Store keeps; the one used longest ago goes
// when another is made.
const maxKept = 32

// ErrNone reports that there is no usable template of a key.
var ErrNone = errors.New("no such template")

// Store is a directory of templates. Any number of processes may use it at once.
type Store struct {
	dir    string
	bootID string
	log    *slog.Logger
}

// NewStore returns the store in dir, which is created (mode 0700) when first
// needed. bootID is the host's, see verify.
func NewStore(dir, bootID string, log *slog.Logger) *Store {
	return &Store{dir: dir, bootID: bootID, log: log}
}

// Template is a finished template. Its files may be removed at any time; machines
// that were started from them keep what they have mapped.
type Template struct {
	Key   string
	Dir   string
	RAM   string // file of the guest's memory
	State string // file of the devices' state
	Info  Info
	Used  time.Time // when it last was; its making counts
}

// Info describes a template; it is the content of template.json.
type Info struct {
	Version int                   `json:"version"`
	Key     string                `json:"key"`
	Made    time.Time             `json:"made"`
	Machine qemu.Machine          `json:"machine"` // as it was booted
	QEMU    string                `json:"qemu"`    // program
	Hello   agentproto.HelloReply `json:"hello"`   // what its agent said of itself
	RAM     Digest                `json:"ram"`
	State   Digest                `json:"state"`
}

// Find returns the template of a key once it is known to be whole, else an error
// that is ErrNone. A damaged one is removed, with a line in the log.
func (s *Store) Find(key string) (Template, error) {
	t, err := s.whole(key)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.drop(key)
		}
		return Template{}, fmt.Errorf("template %s: %w", key, ErrNone)
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Join(t.Dir, infoName), now, now) // only the order of removal depends on it
	return t, nil
}

// whole reads and verifies a template.
func (s *Store) whole(key string) (Template, error) {
	t, err := s.read(key)
	if err != nil {
		return t, err
	}
	return t, s.verify(t)
}

// read reads the description of a template.
func (s *Store) read(key string) (Template, error) {
	if !checkKey(key) {
		return Template{}, fmt.Errorf("template %q: %w", key, fs.ErrNotExist)
	}
	dir := filepath.Join(s.dir, key)
	path := filepath.Join(dir, infoName)
	b, err := os.ReadFile(path)
	if err != nil {
		return Template{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Template{}, err
	}
	t := Template{Key: key, Dir: dir, RAM: filepath.Join(dir, ramName), State: filepath.Join(dir, stateName), Used: info.ModTime()}
	if err := json.Unmarshal(b, &t.Info); err != nil {
		return Template{}, fmt.Errorf("read %s: %w", path, err)
	}
	if t.Info.Version != formatVersion || t.Info.Key != key {
		return Template{}, fmt.Errorf("%s is of version %d and key %q", path, t.Info.Version, t.Info.Key)
	}
	return t, nil
}

// drop removes a template that is of no use, unless somebody is about to replace it.
func (s *Store) drop(key string) {
	lock, err := filelock.TryLock(filepath.Join(s.dir, key+lockSuffix))
	if err != nil {
		return
	}
	defer lock.Close()
	_, why := s.whole(key)
	if why == nil || errors.Is(why, fs.ErrNotExist) {
		return // another command was faster
	}
	s.log.Warn("a machine template is damaged and removed", "template", key, "reason", why)
	if err := os.RemoveAll(filepath.Join(s.dir, key)); err != nil {
		s.log.Warn("remove template", "template", key, "error", err)
	}
}

// DiskBytes is what the template's files take of the disk.
func (t Template) DiskBytes() (int64, error) {
	var sum int64
	for _, path := range []string{t.RAM, t.State} {
		info, err := os.Stat(path)
		if err != nil {
			return 0, fmt.Errorf("size of template %s: %w", t.Key, err)
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += st.Blocks * 512 // stat(2)
		}
	}
	return sum, nil
}

// List returns the templates there are, by key; damaged ones are passed over.
func (s *Store) List() ([]Template, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	var all []Template
	for _, e := range entries {
		if !checkKey(e.Name()) {
			continue
		}
		t, err := s.read(e.Name())
		if err != nil {
			s.log.Debug("pass over a template", "template", e.Name(), "error", err)
			continue
		}
		all = append(all, t)
	}
	return all, nil
}

// Lock waits until nobody else makes or removes the template of a key. wait is
// called once if that takes any time. The caller closes what it gets.
func (s *Store) Lock(ctx context.Context, key string, wait func()) (*os.File, error) {
	path := filepath.Join(s.dir, key+lockSuffix)
	for attempt := 1; ; attempt++ {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return nil, fmt.Errorf("create directory for templates: %w", err)
		}
		lock, err := filelock.TryLock(path)
		if errors.Is(err, filelock.ErrHeld) {
			wait()
			wait = func() {}
			lock, err = filelock.Lock(ctx, path)
		}
		// Who removes a template removes its lock: the file was gone once it was ours.
		if !errors.Is(err, fs.ErrNotExist) || attempt == lockAttempts {
			return lock, err
		}
	}
}

// lockAttempts bounds how often a lock is taken whose file is removed meanwhile.
const lockAttempts = 100

// Invalidate makes the template in dir unknown from now on: a machine did not start
// from it. Its files go when it is made anew, or with Sweep.
func Invalidate(dir string) error {
	if err := os.Remove(filepath.Join(dir, infoName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop template: %w", err)
	}
	return nil
}

// Draft is a template being made, in a directory that nobody else looks at.
type Draft struct {
	store *Store
	key   string
	Dir   string
	RAM   string // file of the source's memory; not there yet
	State string // file for the device state; not there yet
}

// New begins a template; the caller holds the key's lock, and ends with Publish or
// Discard. What killed commands have left of the key is removed.
func (s *Store) New(key string) (*Draft, error) {
	if err := s.removeDrafts(key); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, key+".*"+tempSuffix)
	if err != nil {
		return nil, fmt.Errorf("create directory for a template: %w", err)
	}
	return &Draft{store: s, key: key, Dir: dir, RAM: filepath.Join(dir, ramName), State: filepath.Join(dir, stateName)}, nil
}

// Discard removes a draft; after Publish it does nothing.
func (d *Draft) Discard() { os.RemoveAll(d.Dir) }

// Publish writes the memory that ram holds, which stays the caller's, and gives the
// template its name, whole or not at all. Files of the draft
// that are not the template's must be gone.
func (d *Draft) Publish(info Info, ram *os.File) (Template, error) {
	info.Version, info.Key = formatVersion, d.key
	var err error
	if info.RAM, err = writeSparse(d.RAM, ram); err != nil {
		return Template{}, fmt.Errorf("finish template: %w", err)
	}
	if info.State, err = digest(d.State); err != nil {
		return Template{}, fmt.Errorf("finish template: %w", err)
	}
	if err := writeJSON(filepath.Join(d.Dir, infoName), info); err != nil {
		return Template{}, fmt.Errorf("finish template: %w", err)
	}
	dir := filepath.Join(d.store.dir, d.key)
	if err := os.RemoveAll(dir); err != nil { // one that Find did not take
		return Template{}, fmt.Errorf("replace template: %w", err)
	}
	if err := os.Rename(d.Dir, dir); err != nil {
		return Template{}, fmt.Errorf("finish template: %w", err)
	}
	d.store.keepFew(d.key)
	t, err := d.store.read(d.key)
	if err != nil {
		return t, fmt.Errorf("finish template: %w", err)
	}
	return t, d.store.noteVerified(t)
}

// keepFew removes the templates used longest ago beyond maxKept.
func (s *Store) keepFew(spare string) {
	all, err := s.List()
	if err != nil || len(all) <= maxKept {
		return
	}
	slices.SortFunc(all, func(a, b Template) int { return a.Used.Compare(b.Used) })
	for _, t := range all[:len(all)-maxKept] {
		if t.Key == spare {
			continue
		}
		// Not by Remove: two that wait for each other's locks would wait for ever.
		lock, err := filelock.TryLock(filepath.Join(s.dir, t.Key+lockSuffix))
		if err != nil {
			continue // somebody makes or removes it
		}
		if err := s.removeLocked(t.Key, lock); err != nil {
			s.log.Warn("remove template", "template", t.Key, "error", err)
		}
		lock.Close()
	}
}

// Remove removes a template; one that is being made is waited for. Running
// machines are not affected. One that is not there gives an error that is ErrNone.
func (s *Store) Remove(ctx context.Context, key string) error {
	dir := filepath.Join(s.dir, key)
	if _, err := os.Stat(dir); !checkKey(key) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("template %s: %w", key, ErrNone)
	}
	lock, err := s.Lock(ctx, key, func() {})
	if err != nil {
		return fmt.Errorf("remove template %s: %w", key, err)
	}
	defer lock.Close()
	return s.removeLocked(key, lock)
}

// removeLocked removes all there is of a key, whose lock is held, and the lock last.
func (s *Store) removeLocked(key string, lock *os.File) error {
	err := errors.Join(s.removeDrafts(key), os.RemoveAll(filepath.Join(s.dir, key)))
	if err != nil {
		return fmt.Errorf("remove template %s: %w", key, err)
	}
	return os.Remove(lock.Name())
}

// Sweep removes what is left of templates that were dropped, or whose making was
// killed, and that nobody makes now.
func (s *Store) Sweep() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sweep templates: %w", err)
	}
	var errs []error
	for _, e := range entries {
		key, _, _ := strings.Cut(e.Name(), ".")
		if checkKey(key) {
			errs = append(errs, s.sweep(key))
		}
	}
	return errors.Join(errs...)
}

// sweep removes all there is of a key but a finished template.
func (s *Store) sweep(key string) error {
	lock, err := filelock.TryLock(filepath.Join(s.dir, key+lockSuffix))
	if errors.Is(err, filelock.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep templates: %w", err)
	}
	defer lock.Close()
	if _, err := s.read(key); err != nil {
		return s.removeLocked(key, lock)
	}
	return s.removeDrafts(key)
}

// removeDrafts removes what killed commands have left; the key's lock is held.
func (s *Store) removeDrafts(key string) error {
	left, _ := filepath.Glob(filepath.Join(s.dir, key+".*"+tempSuffix))
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove the rest of a template: %w", err)
		}
	}
	return nil
}

// writeJSON writes a file: a temporary one, renamed.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
