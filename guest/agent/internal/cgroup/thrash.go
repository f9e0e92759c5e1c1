package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A group that has all its memory in use keeps the pages of its programs no
// longer: each step reads some back from the disk and drops others for them. The
// kernel takes that for progress and kills nobody, for minutes or for ever. A
// watch notices and has the kernel kill, as it does when nothing can be dropped.
//
// It thrashes when, in each of thrashWindows windows in a row,
//   - the group was at its limit, and little of its memory was page cache;
//   - as much as was left of that was read back although it had been in use;
//   - its processes hardly ran.
//
// Measured, emulated: awk and python3 read 8 to 20 times their cache of 0.2 and
// 1 MB back in a second, and ran for less than 3 % of it. What reads a large
// file again and again has more cache, or computes.
const (
	thrashWindow  = time.Second
	thrashWindows = 3
	cacheShare    = 16 // of the limit: less is little page cache
	workShare     = 10 // of a window: less time in user mode is hardly any
)

// usage is what a group has used at one moment.
type usage struct {
	at       time.Time
	atLimit  uint64        // times it met its limit
	restored int64         // bytes of page cache read back that had been in use
	cache    int64         // bytes of page cache; what a tmpfs holds is none
	total    int64         // bytes
	limit    int64         // bytes; 0 is none
	worked   time.Duration // of its processes, in user mode
}

// thrashes reports whether the group did nothing but thrash from a to b.
func thrashes(a, b usage) bool {
	return b.limit > 0 && b.atLimit > a.atLimit &&
		b.cache <= b.limit/cacheShare &&
		b.restored-a.restored >= max(b.cache, 1) &&
		(b.worked-a.worked)*workShare <= b.at.Sub(a.at)
}

// watch ends the thrashing of a group until it is stopped.
type watch struct {
	group  *Group
	events *os.File // inotify: the group met its limit
	window time.Duration
	logf   func(format string, args ...any)
	stop   chan struct{}
	done   sync.WaitGroup
}

// Watch has a process of the group killed when it thrashes, until Remove. It
// sleeps as long as the group does not meet its limit.
func (g *Group) Watch(logf func(format string, args ...any)) error {
	return g.watchEvery(thrashWindow, logf)
}

func (g *Group) watchEvery(window time.Duration, logf func(format string, args ...any)) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("inotify: %w", err)
	}
	// The local ones: limits of groups below, which the container has made, are
	// its own affair.
	const file = "memory.events.local"
	if _, err := unix.InotifyAddWatch(fd, g.dir+"/"+file, unix.IN_MODIFY); err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("watch %s: %w", file, err)
	}
	g.watch = &watch{group: g, events: os.NewFile(uintptr(fd), "inotify"), window: window, logf: logf, stop: make(chan struct{})}
	g.watch.done.Go(g.watch.run)
	return nil
}

// end stops the watch and waits for it.
func (w *watch) end() {
	close(w.stop)
	_ = w.events.Close()
	w.done.Wait()
}

func (w *watch) run() {
	buf := make([]byte, 4096)
	for {
		if _, err := w.events.Read(buf); err != nil {
			return
		}
		if err := w.attend(); err != nil {
			select {
			case <-w.stop:
			default:
				w.logf("watch the memory of %s: %v", w.group.dir, err)
			}
			return
		}
	}
}

// attend looks at the group for as long as it meets its limit.
func (w *watch) attend() error {
	last, err := w.group.usage()
	for windows := 0; err == nil; {
		select {
		case <-w.stop:
			return nil
		case <-time.After(w.window):
		}
		var now usage
		if now, err = w.group.usage(); err != nil {
			break
		}
		if now.atLimit == last.atLimit {
			return nil
		}
		if thrashes(last, now) {
			windows++
		} else {
			windows = 0
		}
		if windows == thrashWindows {
			windows = 0
			w.logf("%s thrashes", w.group.dir)
			if err = w.group.overflow(now); err == nil {
				now, err = w.group.usage()
			}
		}
		last = now
	}
	return err
}

// overflow has the kernel kill a process of the group, of its own choice, and
// count it: the limit is put below what cannot be dropped, and then back.
func (g *Group) overflow(u usage) error {
	below := max(u.total-u.cache-max(u.limit/64, 1<<20), 1<<20)
	return errors.Join(
		g.write("memory.max", strconv.FormatInt(below, 10)),
		g.write("memory.max", strconv.FormatInt(u.limit, 10)))
}

// usage reads what the group uses.
func (g *Group) usage() (u usage, err error) {
	u.at = time.Now()
	var events, stat, cpu, total, limit string
	for _, f := range []struct {
		name string
		text *string
	}{{"memory.events.local", &events}, {"memory.stat", &stat}, {"cpu.stat", &cpu}, {"memory.current", &total}, {"memory.max", &limit}} {
		b, err := os.ReadFile(g.dir + "/" + f.name)
		if err != nil {
			return u, err
		}
		*f.text = strings.TrimSpace(string(b))
	}
	u.atLimit = field(events, "max")
	u.restored = int64(field(stat, "workingset_restore_file")) * int64(os.Getpagesize())
	u.cache = int64(field(stat, "file")) - int64(field(stat, "shmem"))
	u.worked = time.Duration(field(cpu, "user_usec")) * time.Microsecond
	if u.total, err = strconv.ParseInt(total, 10, 64); err != nil {
		return u, fmt.Errorf("memory.current: %w", err)
	}
	if limit != "max" {
		if u.limit, err = strconv.ParseInt(limit, 10, 64); err != nil {
			return u, fmt.Errorf("memory.max: %w", err)
		}
	}
	return u, nil
}
