package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
)

func TestInsertAndGetBack(t *testing.T) {
	s := open(t)
	spec := newSpec(newID(), "web")
	record := container.Record{
		ID: spec.ID, State: container.Exited,
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), FinishedAt: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC),
		ExitCode: 137, Error: "killed", OOMKilled: true, RestartCount: 3, StoppedByUser: true, MonitorPID: 4711,
	}
	if err := s.Insert(t.Context(), spec, record); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	if want := (container.Container{Spec: spec, Record: record}); !reflect.DeepEqual(got, want) {
		t.Errorf("Get = %+v\nwant %+v", got, want)
	}
}

func TestInsertErrors(t *testing.T) {
	s := open(t)
	first := insert(t, s, newID(), "web")
	tests := []struct {
		name string
		spec container.Spec
		is   error
		text string
	}{
		{name: "name in use", spec: newSpec(newID(), "web"), is: ErrNameInUse, text: `"web" is already in use by ` + first.ID},
		{name: "id in use", spec: newSpec(first.ID, "other"), is: ErrExists, text: first.ID},
		{name: "both", spec: newSpec(first.ID, "web"), text: "already"},
		{name: "no id", spec: newSpec("", "x"), text: "no id"},
		{name: "no name", spec: newSpec(newID(), ""), text: "no name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := s.Insert(t.Context(), tt.spec, container.Record{State: container.Created})
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Insert = %v, want %q in it", err, tt.text)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("Insert = %v, is not %v", err, tt.is)
			}
		})
	}
	var inUse *NameInUseError
	if err := s.Insert(t.Context(), newSpec(newID(), "web"), container.Record{State: container.Created}); !errors.As(err, &inUse) || inUse.Holder != first.ID {
		t.Errorf("Insert = %v, want a NameInUseError with the holder's id", err)
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("List = %d containers, %v; want the first alone", len(list), err)
	}
}

func TestGet(t *testing.T) {
	s := open(t)
	pad := func(prefix string) string { return prefix + strings.Repeat("0", 64-len(prefix)) }
	insert(t, s, pad("aa1"), "alpha")
	insert(t, s, pad("aa2"), "beta")
	insert(t, s, pad("bb1"), "aa") // named as the beginning of two ids
	insert(t, s, pad("cc1"), "100%_?*")
	insert(t, s, pad("ff1"), pad("aa1")) // named as another's id
	tests := []struct {
		arg, want string // name of the container found
		is        error
		text      string
	}{
		{arg: "alpha", want: "alpha"},
		{arg: pad("aa2"), want: "beta"},
		{arg: "aa2", want: "beta"},
		{arg: "bb", want: "aa"},
		{arg: "aa", want: "aa"},
		{arg: pad("aa1"), want: pad("aa1")},
		{arg: "f", want: pad("aa1")},
		{arg: "100%_?*", want: "100%_?*"},
		{arg: "a", is: ErrAmbiguous, text: "aa1000000000 (alpha), aa2000000000 (beta)"},
		{arg: "nosuch", is: ErrNotFound, text: `no container with name or ID "nosuch" found: no such container`},
		{arg: "alph", is: ErrNotFound},
		{arg: "AA2", is: ErrNotFound},
		{arg: "%", is: ErrNotFound},
		{arg: "", is: ErrNotFound},
		{arg: pad("aa2") + "0", is: ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.arg, func(t *testing.T) {
			c, err := s.Get(t.Context(), tt.arg)
			if tt.is != nil {
				if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("Get(%q) = %v, want %v with %q", tt.arg, err, tt.is, tt.text)
				}
				return
			}
			if err != nil || c.Spec.Name != tt.want {
				t.Errorf("Get(%q) = %q, %v; want %q", tt.arg, c.Spec.Name, err, tt.want)
			}
		})
	}
}

func TestListIsSortedByCreation(t *testing.T) {
	s := open(t)
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("east", 7200))
	for _, after := range []time.Duration{2 * time.Second, 100 * time.Millisecond, 0, time.Second, 1} {
		spec := newSpec(newID(), fmt.Sprintf("after-%v", after))
		spec.Created = base.Add(after)
		if err := s.Insert(t.Context(), spec, container.Record{State: container.Created}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range list {
		got = append(got, c.Spec.Name)
	}
	if want := []string{"after-0s", "after-1ns", "after-100ms", "after-1s", "after-2s"}; !slices.Equal(got, want) {
		t.Errorf("List = %v, want %v", got, want)
	}
}

func TestByImage(t *testing.T) {
	s := open(t)
	for i, image := range []string{"a", "b", "a"} {
		spec := newSpec(newID(), fmt.Sprint("c", i))
		spec.Image.ID = image
		if err := s.Insert(t.Context(), spec, container.Record{State: container.Created}); err != nil {
			t.Fatal(err)
		}
	}
	for image, want := range map[string]int{"a": 2, "b": 1, "c": 0} {
		if list, err := s.ByImage(t.Context(), image); err != nil || len(list) != want {
			t.Errorf("ByImage(%s) = %d, %v; want %d", image, len(list), err, want)
		}
	}
}

func TestUpdate(t *testing.T) {
	s := open(t)
	id := insert(t, s, newID(), "web").ID
	become := func(next container.State) func(*container.Record) error {
		return func(r *container.Record) error { r.State = next; return nil }
	}
	errOwn := errors.New("own")
	tests := []struct {
		name   string
		change func(*container.Record) error
		err    string
		state  container.State // afterwards
	}{
		{name: "not yet started", change: become(container.Running), err: "cannot run container web: it is created", state: container.Created},
		{name: "start", change: become(container.Starting), state: container.Starting},
		{name: "start twice", change: func(r *container.Record) error {
			if r.State != container.Created {
				return errOwn
			}
			return nil
		}, err: "own", state: container.Starting},
		{name: "failed change writes nothing", change: func(r *container.Record) error { r.State = container.Running; return errOwn }, err: "own", state: container.Starting},
		{name: "running", change: func(r *container.Record) error {
			r.State, r.StartedAt, r.MonitorPID = container.Running, time.Now(), 12
			return nil
		}, state: container.Running},
		{name: "same state, other fields", change: func(r *container.Record) error { r.RestartCount++; return nil }, state: container.Running},
		{name: "remove while running", change: become(container.Removing), err: "cannot remove container web: it is running", state: container.Running},
		{name: "end", change: become(container.Exited), state: container.Exited},
		{name: "remove", change: become(container.Removing), state: container.Removing},
		{name: "remove again", change: become(container.Removing), state: container.Removing},
		{name: "start while it is removed", change: become(container.Starting), err: "cannot start container web: it is removing", state: container.Removing},
	}
	for _, tt := range tests {
		err := s.Update(t.Context(), id, tt.change)
		if got := fmt.Sprint(err); tt.err == "" && err != nil || tt.err != "" && got != tt.err {
			t.Errorf("%s: Update = %v, want %q", tt.name, err, tt.err)
		}
		c, err := s.Get(t.Context(), id)
		if err != nil || c.Record.State != tt.state {
			t.Errorf("%s: state = %s, %v; want %s", tt.name, c.Record.State, err, tt.state)
		}
	}
	c, err := s.Get(t.Context(), id)
	if err != nil || c.Record.RestartCount != 1 || c.Record.MonitorPID != 12 || c.Record.StartedAt.IsZero() || !c.Record.FinishedAt.IsZero() {
		t.Errorf("record afterwards = %+v, %v", c.Record, err)
	}
	var refused *container.StateError
	if err := s.Update(t.Context(), id, become(container.Running)); !errors.As(err, &refused) || refused.Have != container.Removing {
		t.Errorf("Update = %v, want a StateError", err)
	}
	if err := s.Update(t.Context(), newID(), become(container.Running)); !errors.Is(err, ErrNotFound) {
		t.Errorf("Update of nothing = %v", err)
	}
}

func TestDelete(t *testing.T) {
	s := open(t)
	spec := insert(t, s, newID(), "web")
	if err := s.Delete(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), spec.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("second Delete = %v", err)
	}
	var records int
	if err := s.db.QueryRow("SELECT count(*) FROM records").Scan(&records); err != nil || records != 0 {
		t.Errorf("%d records left, %v", records, err)
	}
	insert(t, s, spec.ID, "web") // both are free again
}

func TestDamagedRows(t *testing.T) {
	tests := []struct{ name, sql string }{
		{name: "spec", sql: "UPDATE containers SET spec = '{' WHERE name = 'bad'"},
		{name: "spec of another", sql: "UPDATE containers SET spec = (SELECT spec FROM containers WHERE name = 'good') WHERE name = 'bad'"},
		{name: "state", sql: "UPDATE records SET state = 'confused' WHERE id LIKE 'b%'"},
		{name: "time", sql: "UPDATE records SET started_at = 'yesterday' WHERE id LIKE 'b%'"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t)
			bad := "b" + newID()[1:]
			insert(t, s, "a"+newID()[1:], "good")
			insert(t, s, bad, "bad")
			if _, err := s.db.Exec(tt.sql); err != nil {
				t.Fatal(err)
			}
			list, err := s.List(t.Context())
			var damaged *DamagedRowsError
			if len(list) != 1 || list[0].Spec.Name != "good" || !errors.As(err, &damaged) || damaged.Rows[0].ID != bad || damaged.Rows[0].Name != "bad" {
				t.Errorf("List = %d containers, %v", len(list), err)
			}
			if _, err := s.Get(t.Context(), "good"); err != nil {
				t.Errorf("Get(good) = %v", err)
			}
			for _, arg := range []string{"bad", bad, bad[:12]} {
				_, err := s.Get(t.Context(), arg)
				if !errors.As(err, &damaged) || damaged.Rows[0].ID != bad || !errors.Is(err, ErrDamaged) {
					t.Errorf("Get(%s) = %v, want a DamagedRowsError", arg, err)
				}
			}
			if err := s.Delete(t.Context(), bad); err != nil {
				t.Errorf("Delete = %v", err)
			}
			if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
				t.Errorf("List afterwards = %d, %v", len(list), err)
			}
		})
	}
}

// BenchmarkOpenList is what `ps` needs of the store.
func BenchmarkOpenList(b *testing.B) {
	path := b.TempDir() + "/vpod.db"
	s, err := Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		if err := s.Insert(b.Context(), newSpec(newID(), fmt.Sprint("c", i)), container.Record{State: container.Created}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := Open(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		if list, err := s.List(b.Context()); err != nil || len(list) != 100 {
			b.Fatal(len(list), err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
