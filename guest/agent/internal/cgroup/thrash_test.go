package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestThrashes(t *testing.T) {
	start := time.Now()
	before := usage{at: start, atLimit: 5, restored: 10 << 20, limit: 80 << 20, worked: time.Second}
	// awk in an emulated machine of 128 MiB, one second later.
	thrashing := usage{at: start.Add(time.Second), atLimit: 105, restored: 14 << 20, cache: 200 << 10, limit: 80 << 20, worked: 1030 * time.Millisecond}
	for _, tt := range []struct {
		name string
		with func(u *usage)
		want bool
	}{
		{"thrashing", func(*usage) {}, true},
		{"no cache left at all", func(u *usage) { u.cache = 0 }, true},
		{"not at its limit", func(u *usage) { u.atLimit = 5 }, false},
		{"no limit", func(u *usage) { u.limit = 0 }, false},
		{"nothing read back", func(u *usage) { u.cache, u.restored = 0, 10<<20 }, false},
		{"less read back than is kept", func(u *usage) { u.restored = 10<<20 + 100<<10 }, false},
		{"much cache, read anew", func(u *usage) { u.cache, u.restored = 40<<20, 300<<20 }, false},
		{"slow, but working", func(u *usage) { u.worked = 1200 * time.Millisecond }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			after := thrashing
			tt.with(&after)
			if got := thrashes(before, after); got != tt.want {
				t.Errorf("thrashes(%+v, %+v) = %v, want %v", before, after, got, tt.want)
			}
		})
	}
}

// fakeGroup makes a group in a plain directory, whose files the test writes.
func fakeGroup(t *testing.T) (g *Group, put func(name, text string)) {
	t.Helper()
	g, err := NewPool(t.TempDir()).Take()
	if err != nil {
		t.Fatal(err)
	}
	put = func(name, text string) {
		// Not emptied first: the watch reads meanwhile.
		f, err := os.OpenFile(filepath.Join(g.Dir(), name), os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			_ = f.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}
	put("memory.events.local", "low 0\nhigh 0\nmax 100000\noom 0\n")
	put("memory.stat", "anon 80000000\nfile 300000\nshmem 100000\nworkingset_restore_file 100000\n")
	put("cpu.stat", "usage_usec 9\nuser_usec 2000000\nsystem_usec 7\n")
	put("memory.current", "83886080\n")
	put("memory.max", "83886080\n")
	return g, put
}

func TestUsage(t *testing.T) {
	g, put := fakeGroup(t)
	got, err := g.usage()
	want := usage{at: got.at, atLimit: 100000, restored: 100000 * int64(os.Getpagesize()), cache: 200000, total: 83886080, limit: 83886080, worked: 2 * time.Second}
	if err != nil || got != want {
		t.Errorf("usage = %+v, %v, want %+v", got, err, want)
	}
	put("memory.max", "max\n     ")
	if got, err = g.usage(); err != nil || got.limit != 0 {
		t.Errorf("without a limit: %d, %v", got.limit, err)
	}
	put("memory.current", "nonsense")
	if _, err = g.usage(); err == nil {
		t.Error("nonsense is a number")
	}
}

func TestWatch(t *testing.T) {
	const window = 20 * time.Millisecond
	g, put := fakeGroup(t)
	said := make(chan string, 10)
	if err := g.watchEvery(window, func(format string, args ...any) { said <- fmt.Sprintf(format, args...) }); err != nil {
		t.Fatal(err)
	}
	w := g.watch
	silent := func() {
		t.Helper()
		select {
		case text := <-said:
			t.Fatalf("the watch says %q", text)
		case <-time.After(10 * window):
		}
	}
	silent()                                                  // nothing happens
	put("memory.events.local", "low 0\nhigh 0\nmax 100001\n") // once at the limit
	silent()
	end := time.After(time.Minute)
	for n := 100002; ; n++ { // thrashing
		put("memory.stat", fmt.Sprintf("anon 80000000\nfile 300000\nshmem 100000\nworkingset_restore_file %d\n", 100*n))
		put("memory.events.local", fmt.Sprintf("low 0\nhigh 0\nmax %d\n", n))
		select {
		case text := <-said:
			if want := g.Dir() + " thrashes"; text != want {
				t.Errorf("the watch says %q, want %q", text, want)
			}
		case <-end:
			t.Fatal("the watch does not notice")
		case <-time.After(window / 10):
			continue
		}
		break
	}
	done := make(chan struct{})
	go func() { w.end(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("the watch does not end")
	}
	// A kernel file takes both numbers; the limit is what was written last.
	if b, _ := os.ReadFile(filepath.Join(g.Dir(), "memory.max")); string(b) != "83886080\n" {
		t.Errorf("memory.max = %q", b)
	}
}

func TestWatchOfNothing(t *testing.T) {
	g, err := NewPool(t.TempDir()).Take()
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Watch(t.Logf); err == nil {
		t.Error("a group without a memory controller is watched")
	}
}
