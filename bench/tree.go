package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// proc is where the kernel shows processes.
const proc = "/proc"

// tick is the unit of times in /proc/PID/stat: USER_HZ, 100 on every Linux.
const tick = 10 * time.Millisecond

// task is one process as /proc/PID/stat shows it.
type task struct {
	pid, parent int
	name        string
	began       uint64 // ticks since boot
	state       byte
	cpu         time.Duration // its own and that of the children it waited for
}

// identity tells a process from a later one with the same number.
func (t task) identity() task { return task{pid: t.pid, began: t.began} }

// descendants returns the living descendants of a process, parents first. They are
// found by their parents alone: never by a name, which others may bear.
func descendants(root int) ([]task, error) {
	all, err := uncollected(root)
	return slices.DeleteFunc(all, func(t task) bool { return t.state == 'Z' || t.state == 'X' }), err
}

// uncollected returns the descendants of a process, also those that have ended and
// that nobody has waited for.
func uncollected(root int) ([]task, error) {
	all, err := tasks(proc)
	if err != nil {
		return nil, err
	}
	return below(all, root), nil
}

// below picks the descendants of root.
func below(all []task, root int) []task {
	children := map[int][]task{}
	for _, t := range all {
		children[t.parent] = append(children[t.parent], t)
	}
	var found []task
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, t := range children[queue[0]] {
			queue = append(queue, t.pid)
			found = append(found, t)
		}
	}
	return found
}

// since returns those of now that are not among before.
func since(before, now []task) []task {
	return slices.DeleteFunc(slices.Clone(now), func(t task) bool {
		return slices.ContainsFunc(before, func(b task) bool { return b.identity() == t.identity() })
	})
}

// tasks lists all processes.
func tasks(proc string) ([]task, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	var all []task
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(proc, entry.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		t, err := parseStat(string(b))
		if err != nil {
			return nil, fmt.Errorf("process %s: %w", entry.Name(), err)
		}
		all = append(all, t)
	}
	return all, nil
}

// parseStat reads /proc/PID/stat (proc(5)). The name may hold blanks and brackets.
func parseStat(s string) (task, error) {
	bad := fmt.Errorf("stat of another form: %q", s)
	open, closed := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 1 || closed < open {
		return task{}, bad
	}
	pid, err := strconv.Atoi(strings.TrimSpace(s[:open]))
	f := strings.Fields(s[closed+1:]) // f[0] is field 3, the state
	if err != nil || len(f) < 20 {
		return task{}, bad
	}
	parent, err := strconv.Atoi(f[1])
	began, err2 := strconv.ParseUint(f[19], 10, 64)
	t := task{pid: pid, parent: parent, name: s[open+1 : closed], state: f[0][0], began: began}
	for _, field := range f[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return task{}, bad
		}
		t.cpu += time.Duration(n) * tick
	}
	return t, errors.Join(err, err2)
}

// cpuNow is the processor time a living process has used. Ticks are coarse and
// rounded down; the scheduler's own count of its threads is exact, but forgets those
// that have ended: the larger is nearer. One that has ended counts for nothing.
func cpuNow(t task) time.Duration {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(t.pid), "stat"))
	if err != nil {
		return 0
	}
	now, err := parseStat(string(b))
	if err != nil || now.identity() != t.identity() {
		return 0
	}
	var exact time.Duration
	files, _ := filepath.Glob(filepath.Join(proc, strconv.Itoa(t.pid), "task/*/schedstat"))
	for _, name := range files {
		b, _ := os.ReadFile(name)
		if f := bytes.Fields(b); len(f) > 0 {
			n, _ := strconv.ParseInt(string(f[0]), 10, 64)
			exact += time.Duration(n)
		}
	}
	return max(exact, now.cpu)
}

// footprint is the memory of a process in bytes.
type footprint struct {
	pss     int64 // its pages, shared ones divided by their users
	private int64 // pages nobody else has
}

// memory reads a process's footprint. One that has ended has none.
func memory(pid int) (footprint, error) {
	b, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "smaps_rollup"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "no such process") {
			return footprint{}, nil
		}
		return footprint{}, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	return parseRollup(string(b))
}

// parseRollup reads /proc/PID/smaps_rollup.
func parseRollup(s string) (footprint, error) {
	var m footprint
	for line := range strings.Lines(s) {
		key, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if !ok || len(f) != 2 || f[1] != "kB" {
			continue
		}
		kib, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return m, fmt.Errorf("smaps_rollup: %q", line)
		}
		switch key {
		case "Pss":
			m.pss += kib << 10
		case "Private_Clean", "Private_Dirty":
			m.private += kib << 10
		}
	}
	return m, nil
}
