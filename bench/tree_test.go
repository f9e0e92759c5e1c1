package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const tail = " S 7 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 12345 1000 50"
	want := task{pid: 42, parent: 7, name: "a) (b", state: 'S', began: 12345, cpu: time.Second}
	got, err := parseStat("42 (a) (b)" + tail)
	if err != nil || got != want {
		t.Errorf("parseStat() = %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42", "42 (a", "x (a)" + tail, "42 (a) S 7", "42 (a) S x 42 42 0 -1 4194560 1 2 3 4 10 20 30 40 20 0 1 0 12345", "42 (a) S 7 42 42 0 -1 4194560 1 2 3 4 x 20 30 40 20 0 1 0 12345"} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestBelow(t *testing.T) {
	all := []task{
		{pid: 1, parent: 0}, {pid: 10, parent: 1}, {pid: 30, parent: 20}, {pid: 20, parent: 10}, {pid: 40, parent: 1, name: "the same name"},
		{pid: 50, parent: 10, state: 'Z'}, {pid: 60, parent: 50},
	}
	var got []int
	for _, p := range below(all, 10) {
		got = append(got, p.pid)
	}
	// Parents first; those nobody has waited for too, no others.
	if want := []int{20, 50, 30, 60}; !reflect.DeepEqual(got, want) {
		t.Errorf("below(10) = %v, want %v", got, want)
	}
}

func TestSince(t *testing.T) {
	before := []task{{pid: 1, began: 5}, {pid: 2, began: 6}}
	now := []task{{pid: 1, began: 5, cpu: time.Second}, {pid: 2, began: 9}, {pid: 3, began: 7}}
	want := []task{{pid: 2, began: 9}, {pid: 3, began: 7}} // 2 is another one by now
	if got := since(before, now); !reflect.DeepEqual(got, want) {
		t.Errorf("since() = %v, want %v", got, want)
	}
}

func TestParseRollup(t *testing.T) {
	got, err := parseRollup("5581f3a00000-7ffd3c5c8000 ---p 00000000 00:00 0   [rollup]\nRss:   4000 kB\nPss:   1536 kB\nPss_Anon: 9 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 1023 kB\n")
	if want := (footprint{pss: 1536 << 10, private: 1 << 20}); err != nil || got != want {
		t.Errorf("parseRollup() = %+v, %v, want %+v", got, err, want)
	}
	if _, err := parseRollup("Pss: x kB\n"); err == nil {
		t.Error("parseRollup: no error for what is no number")
	}
}

func TestTasksPassesOverWhatIsNoProcess(t *testing.T) {
	dir := t.TempDir()
	for name, stat := range map[string]string{"7": "7 (x) R 1 7 7 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 9 0 0", "self": "no process"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "stat"), []byte(stat), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "8"), 0o700); err != nil { // has just ended
		t.Fatal(err)
	}
	got, err := tasks(dir)
	if want := []task{{pid: 7, parent: 1, name: "x", state: 'R', began: 9, cpu: tick}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("tasks() = %+v, %v, want %+v", got, err, want)
	}
}

// TestOwnMemory reads what the kernel says of this process.
func TestOwnMemory(t *testing.T) {
	m, err := memory(os.Getpid())
	if err != nil || m.pss <= 0 || m.private <= 0 || m.private > m.pss {
		t.Errorf("memory(self) = %+v, %v", m, err)
	}
	if m, err := memory(1 << 22); err != nil || m != (footprint{}) { // no such process: above the kernel's highest
		t.Errorf("memory(none) = %+v, %v; want nothing", m, err)
	}
}
