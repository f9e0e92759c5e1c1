package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
)

// open opens a new database in a directory of the test's own.
func open(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "vpod.db"))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatalf("Open(%s): %v", path, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

// newID returns a random id.
func newID() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newSpec returns a spec as the engine might make it.
func newSpec(id, name string) container.Spec {
	return container.Spec{
		ID: id, Name: name, Created: time.Now().UTC(),
		Image:   container.Image{ID: strings.Repeat("1", 64), Name: "localhost/demo:latest"},
		Process: container.Process{Command: []string{"sh", "-c", "echo <hello> & exit"}, Env: []string{"PATH=/bin"}, WorkDir: "/"},
		Labels:  map[string]string{"a": "b"},
		Network: container.Network{Mode: container.NetworkUser, MAC: "02:00:00:00:00:01"},
	}
}

func insert(t *testing.T, s *Store, id, name string) container.Spec {
	t.Helper()
	spec := newSpec(id, name)
	if err := s.Insert(t.Context(), spec, container.Record{State: container.Created}); err != nil {
		t.Fatalf("Insert(%s): %v", name, err)
	}
	return spec
}

func TestOpenMakesPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space?and#hash%41", "vpod.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	insert(t, s, newID(), "one")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Errorf("Stat: %v", err)
			continue
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s = %o, want 600", info.Name(), got)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newer := filepath.Join(dir, "newer.db")
	s := openAt(t, newer)
	if _, err := s.db.ExecContext(t.Context(), "PRAGMA user_version = 999"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "isdir"), 0o700); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       []string // parts of the text
		is         error
	}{
		{name: "no directory", path: filepath.Join(dir, "missing", "vpod.db"), want: []string{"open state database", "missing/vpod.db", "no such file"}, is: os.ErrNotExist},
		{name: "directory in its place", path: filepath.Join(dir, "isdir"), want: []string{"a directory stands in its place"}},
		{name: "read-only filesystem", path: "/proc/vpod.db", want: []string{"/proc/vpod.db"}},
		{name: "not a database", path: write("text.db", strings.Repeat("this is a letter\n", 300)), want: []string{"database is damaged", "text.db", "move the file away"}, is: ErrDamaged},
		{name: "newer", path: newer, want: []string{"newer vpod", "format is 999"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(t.Context(), tt.path)
			if err == nil {
				_ = s.Close()
				t.Fatalf("Open(%s) succeeded", tt.path)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("Open(%s) = %q, lacks %q", tt.path, err, part)
				}
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Open(%s) = %v, is not %v", tt.path, err, tt.is)
			}
		})
	}
	var ve *VersionError
	if _, err := Open(t.Context(), newer); !errors.As(err, &ve) || ve.Have != 999 {
		t.Errorf("Open of a newer database = %v, want a VersionError", err)
	}
}

func TestOpenDamagedPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vpod.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		insert(t, s, newID(), fmt.Sprint("c", i))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(b); i++ {
		b[i] = 0xa5
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), path)
	if err == nil {
		_, err = s.List(t.Context())
		_ = s.Close()
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("List of a damaged database = %v, want ErrDamaged", err)
	}
	var rows *DamagedRowsError
	if errors.As(err, &rows) {
		t.Errorf("damage of the file is reported as damage of a row: %v", err)
	}
}

// TestMigrate opens databases of every earlier version.
func TestMigrate(t *testing.T) {
	steps, err := migrations()
	if err != nil {
		t.Fatal(err)
	}
	for version := range len(steps) {
		t.Run(fmt.Sprint("from ", version), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "vpod.db")
			db, err := sql.Open("sqlite3", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range steps[:version] {
				text, err := migrationFiles.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := db.Exec(string(text)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := openAt(t, path)
			insert(t, s, newID(), "one")
			var have int
			if err := s.db.QueryRow("PRAGMA user_version").Scan(&have); err != nil || have != len(steps) {
				t.Errorf("version = %d, %v; want %d", have, err, len(steps))
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	s := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.List(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("List with a cancelled context = %v", err)
	}
	if err := s.Insert(ctx, newSpec(newID(), "a"), container.Record{State: container.Created}); !errors.Is(err, context.Canceled) {
		t.Errorf("Insert with a cancelled context = %v", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("List afterwards = %d, %v", len(list), err)
	}
}
