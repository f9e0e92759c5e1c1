package template

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/filelock"
)

const (
	testBoot = "11111111-2222-3333-4444-555555555555"
	testKey  = "0123456789abcdef"
)

// key returns the n-th of some keys.
func key(n int) string { return fmt.Sprintf("%016x", n+1) }

// newStore returns a store in dir whose log goes to the returned buffer.
func newStore(dir, boot string) (*Store, *bytes.Buffer) {
	var log bytes.Buffer
	return NewStore(dir, boot, slog.New(slog.NewTextHandler(&log, nil))), &log
}

// publish makes a template as the engine does, of a few pages.
func publish(t *testing.T, s *Store, key string) Template {
	t.Helper()
	lock, err := s.Lock(t.Context(), key, func() { t.Errorf("the lock of %s is held", key) })
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	d, err := s.New(key)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Discard()
	ram := writeDraft(t, d)
	made, err := d.Publish(Info{Made: time.Now(), Machine: ordinaryMachine(), QEMU: "/usr/bin/qemu"}, ram)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// writeDraft writes what QEMU does, and returns the memory.
func writeDraft(t *testing.T, d *Draft) *os.File {
	t.Helper()
	ram, err := os.Open(memoryFile(t, memoryContent(), true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ram.Close() })
	if err := os.WriteFile(d.State, bytes.Repeat([]byte("state"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	return ram
}

// names lists the store's directory.
func names(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestPublishFindListRemove(t *testing.T) {
	s, log := newStore(filepath.Join(t.TempDir(), "a", "templates"), testBoot)
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("List of a store that was never used = %v, %v", list, err)
	}
	if err := s.Sweep(); err != nil {
		t.Errorf("Sweep of a store that was never used = %v", err)
	}
	if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
		t.Errorf("Find before it is made: %v, want ErrNone", err)
	}
	made := publish(t, s, testKey)
	if made.Key != testKey || made.Info.Machine.MemoryBytes != 512<<20 || made.Info.QEMU != "/usr/bin/qemu" || made.Info.RAM.SizeBytes != int64(len(memoryContent())) {
		t.Errorf("published %+v", made)
	}
	found, err := s.Find(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if found.Dir != made.Dir || found.Info.State != made.Info.State || filepath.Dir(found.RAM) != found.Dir {
		t.Errorf("found %+v, made %+v", found, made)
	}
	if used, err := found.DiskBytes(); err != nil || used <= 0 || used >= int64(len(memoryContent())) {
		t.Errorf("DiskBytes = %d, %v, want those of the pages with data", used, err)
	}
	if info, err := os.Stat(s.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the store's directory: %v, %v, want mode 0700", info.Mode(), err)
	}
	publish(t, s, key(0))
	list, err := s.List()
	if err != nil || len(list) != 2 || list[0].Key != key(0) || list[1].Key != testKey {
		t.Errorf("List = %+v, %v", list, err)
	}
	if got, want := names(t, s), []string{key(0), key(0) + ".lock", testKey, testKey + ".lock"}; !slices.Equal(got, want) {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
	if err := s.Remove(t.Context(), testKey); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
		t.Errorf("Find after Remove: %v, want ErrNone", err)
	}
	for _, k := range []string{testKey, "nosuch", "../" + key(0)} {
		if err := s.Remove(t.Context(), k); !errors.Is(err, ErrNone) {
			t.Errorf("Remove of %q, which is none: %v", k, err)
		}
	}
	if got, want := names(t, s), []string{key(0), key(0) + ".lock"}; !slices.Equal(got, want) {
		t.Errorf("after Remove the directory holds %q, want %q", got, want)
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

func TestFindUsesIt(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	made := publish(t, s, testKey)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(made.Dir, infoName), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Find(testKey); err != nil {
		t.Fatal(err)
	}
	if list, _ := s.List(); time.Since(list[0].Used) > time.Minute {
		t.Errorf("last used %s after it was found", list[0].Used)
	}
}

// A template of which anything differs from what was saved is of no use, and goes.
func TestDamagedTemplatesGo(t *testing.T) {
	flip := func(name string, at int64) func(string) error {
		return func(dir string) error {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			b := make([]byte, 1)
			if _, err := f.ReadAt(b, at); err != nil {
				return err
			}
			b[0] ^= 0x10
			_, err = f.WriteAt(b, at)
			return err
		}
	}
	cut := func(name string, size int64) func(string) error {
		return func(dir string) error { return os.Truncate(filepath.Join(dir, name), size) }
	}
	write := func(name, content string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600) }
	}
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
	}
	tests := []struct {
		name   string
		damage func(dir string) error
		said   string // in the log
	}{
		{"byte of memory", flip(ramName, 7*pageBytes+1), "ram is not what was saved"},
		{"byte of a zero page", flip(ramName, 500*pageBytes), "ram is not what was saved"},
		{"short memory", cut(ramName, 100), "ram is not what was saved"},
		{"long memory", cut(ramName, 64<<20), "ram is not what was saved"},
		{"byte of state", flip(stateName, 4321), "state is not what was saved"},
		{"short state", cut(stateName, 4999), "state is not what was saved"},
		{"empty state", cut(stateName, 0), "state is not what was saved"},
		{"half a description", cut(infoName, 50), "template.json"},
		{"empty description", cut(infoName, 0), "template.json"},
		{"other version", write(infoName, `{"version": 999, "key": "`+testKey+`"}`), "version 999"},
		{"other key", write(infoName, `{"version": 1, "key": "`+key(0)+`"}`), key(0)},
		{"no memory", remove(ramName), ""},
		{"no state", remove(stateName), ""},
		{"no description", remove(infoName), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, log := newStore(t.TempDir(), testBoot)
			made := publish(t, s, testKey)
			time.Sleep(20 * time.Millisecond) // more than the clock of file systems takes to move on
			if err := tt.damage(made.Dir); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
				t.Fatalf("Find = %v, want ErrNone", err)
			}
			if !strings.Contains(log.String(), tt.said) {
				t.Errorf("log %q, want %q in it", log, tt.said)
			}
			if tt.said != "" && slices.Contains(names(t, s), testKey) {
				t.Error("it is still there")
			}
			// It can be made anew.
			publish(t, s, testKey)
			if _, err := s.Find(testKey); err != nil {
				t.Errorf("after it was made anew: %v", err)
			}
		})
	}
}

// A damaged template is left to whoever is about to replace it.
func TestFindLeavesDamagedOnesToTheirMaker(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	made := publish(t, s, testKey)
	if err := os.Truncate(made.State, 0); err != nil {
		t.Fatal(err)
	}
	lock, err := s.Lock(t.Context(), testKey, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
		t.Errorf("Find = %v, want ErrNone", err)
	}
	if !slices.Contains(names(t, s), testKey) {
		t.Error("it was removed under the maker's hands")
	}
}

func TestInvalidate(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	made := publish(t, s, testKey)
	for range 2 {
		if err := Invalidate(made.Dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
		t.Errorf("Find = %v, want ErrNone", err)
	}
	if list, err := s.List(); err != nil || len(list) != 0 {
		t.Errorf("List = %v, %v", list, err)
	}
	if err := s.Sweep(); err != nil || len(names(t, s)) != 0 {
		t.Errorf("Sweep = %v, leaves %q", err, names(t, s))
	}
}

func TestDraftsOfOthersAreNotUsed(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	lock, err := s.Lock(t.Context(), testKey, func() {})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.New(testKey)
	if err != nil {
		t.Fatal(err)
	}
	writeDraft(t, d)
	check := func(when string) {
		t.Helper()
		if _, err := s.Find(testKey); !errors.Is(err, ErrNone) {
			t.Errorf("%s: Find = %v, want ErrNone", when, err)
		}
		if list, err := s.List(); err != nil || len(list) != 0 {
			t.Errorf("%s: List = %v, %v", when, list, err)
		}
	}
	check("under way")
	if err := s.Sweep(); err != nil || !slices.Contains(names(t, s), filepath.Base(d.Dir)) {
		t.Errorf("Sweep = %v, and takes what is under way: %q", err, names(t, s))
	}
	lock.Close() // its maker is killed
	check("left")
	again, err := s.Lock(t.Context(), testKey, func() {})
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.New(testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was left is still there: %v", err)
	}
	next.Discard()
	again.Close()
	if _, err := os.Stat(next.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Discard leaves %s", next.Dir)
	}
}

func TestPublishWithoutState(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	publish(t, s, testKey) // one that is replaced, or not
	d, err := s.New(testKey)
	if err != nil {
		t.Fatal(err)
	}
	ram := writeDraft(t, d)
	if err := os.Remove(d.State); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Publish(Info{}, ram); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Publish without state = %v", err)
	}
	d.Discard()
	if _, err := s.Find(testKey); err != nil {
		t.Errorf("the one that was there is lost: %v", err)
	}
}

func TestKeepFew(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	now := time.Now()
	for n := range maxKept + 1 {
		made := publish(t, s, key(n))
		used := now.Add(time.Duration(n-1000) * time.Minute)
		if err := os.Chtimes(filepath.Join(made.Dir, infoName), used, used); err != nil {
			t.Fatal(err)
		}
		if n == maxKept-1 { // the first is used again
			if _, err := s.Find(key(0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	list, err := s.List()
	if err != nil || len(list) != maxKept {
		t.Fatalf("%d templates are kept, %v, want %d", len(list), err, maxKept)
	}
	there := func(n int) bool {
		return slices.ContainsFunc(list, func(t Template) bool { return t.Key == key(n) })
	}
	if !there(0) || there(1) || !there(2) || !there(maxKept) {
		t.Errorf("kept: 0 %t, 1 %t, 2 %t, the last %t; want all but 1", there(0), there(1), there(2), there(maxKept))
	}
	// One that somebody removes or makes is not waited for.
	lock, err := s.Lock(t.Context(), key(2), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	publish(t, s, testKey)
	if list, err = s.List(); err != nil || !there(2) {
		t.Errorf("a template whose lock is held is gone: %v", err)
	}
}

func TestSweep(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	publish(t, s, testKey)
	for _, dir := range []string{testKey + ".1.tmp", key(1) + ".2.tmp", key(2)} {
		if err := os.MkdirAll(filepath.Join(s.dir, dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{key(3) + ".lock", "notes.txt", "somebody.lock"} {
		if err := os.WriteFile(filepath.Join(s.dir, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sweep(); err != nil {
		t.Fatal(err)
	}
	if got, want := names(t, s), []string{testKey, testKey + ".lock", "notes.txt", "somebody.lock"}; !slices.Equal(got, want) {
		t.Errorf("Sweep leaves %q, want %q", got, want)
	}
	if _, err := s.Find(testKey); err != nil {
		t.Errorf("Find = %v", err)
	}
}

func TestLock(t *testing.T) {
	s, _ := newStore(t.TempDir(), testBoot)
	held, err := s.Lock(t.Context(), testKey, func() {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	waits := 0
	if _, err := s.Lock(ctx, testKey, func() { waits++; cancel() }); !errors.Is(err, context.Canceled) || waits != 1 {
		t.Errorf("Lock of what is held = %v, said so %d times", err, waits)
	}
	// Who removes the lock with the template leaves none of them without it.
	const commands = 8
	got := make(chan error, commands)
	for range commands {
		go func() {
			lock, err := s.Lock(context.Background(), testKey, func() {})
			if err == nil {
				if again, second := filelock.TryLock(lock.Name()); second == nil {
					again.Close()
					err = errors.New("two hold it at once")
				}
				err = errors.Join(err, os.Remove(lock.Name()), lock.Close())
			}
			got <- err
		}()
	}
	if err := errors.Join(os.Remove(held.Name()), held.Close()); err != nil {
		t.Fatal(err)
	}
	for range commands {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
}

// The memory is read once a boot of the host, and when its file has changed.
func TestVerified(t *testing.T) {
	dir := t.TempDir()
	s, _ := newStore(dir, testBoot)
	made := publish(t, s, testKey)
	// doubt makes the description say something else of the memory, so that reading
	// it shows.
	doubt := func() {
		t.Helper()
		info := made.Info
		info.RAM.SHA256 = strings.Repeat("0", 64)
		if err := writeJSON(filepath.Join(made.Dir, infoName), info); err != nil {
			t.Fatal(err)
		}
	}
	trust := func() {
		t.Helper()
		if err := writeJSON(filepath.Join(made.Dir, infoName), made.Info); err != nil {
			t.Fatal(err)
		}
	}
	note := filepath.Join(made.Dir, verifiedName)
	reads := func(s *Store) bool {
		t.Helper()
		doubt()
		defer trust()
		read, err := s.read(testKey)
		if err != nil {
			t.Fatal(err)
		}
		return s.verify(read) != nil
	}
	if reads(s) {
		t.Error("it is read although it was when it was made")
	}
	otherBoot, _ := newStore(dir, "99999999-2222-3333-4444-555555555555")
	if !reads(otherBoot) {
		t.Error("it is not read after a boot of the host")
	}
	if _, err := otherBoot.Find(testKey); err != nil {
		t.Fatal(err)
	}
	if reads(otherBoot) {
		t.Error("it is read twice a boot")
	}
	if !reads(s) {
		t.Error("it is not read although it was last in another boot")
	}
	if _, err := s.Find(testKey); err != nil {
		t.Fatal(err)
	}

	time.Sleep(20 * time.Millisecond) // more than the clock of file systems takes to move on
	info, err := os.Stat(made.RAM)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(made.RAM, info.ModTime(), info.ModTime()); err != nil { // only the ctime tells
		t.Fatal(err)
	}
	if !reads(s) {
		t.Error("it is not read although its file has changed")
	}
	if _, err := s.Find(testKey); err != nil {
		t.Fatalf("Find of what has changed only in its ctime: %v", err)
	}
	if reads(s) {
		t.Error("it is read again after it was found right")
	}
	for name, damage := range map[string]func() error{
		"missing": func() error { return os.Remove(note) },
		"empty":   func() error { return os.WriteFile(note, nil, 0o600) },
		"garbled": func() error { return os.WriteFile(note, []byte(`{"bootID": 7`), 0o600) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if !reads(s) {
			t.Errorf("with a note that is %s it is not read", name)
		}
		if _, err := s.Find(testKey); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(note)
		var v verified
		if err != nil || json.Unmarshal(b, &v) != nil || v.BootID != testBoot {
			t.Errorf("the note is %s, %v", b, err)
		}
	}
}
