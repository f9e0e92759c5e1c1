// Package timing says where the time of a command went: every process that takes
// part marks on the clock they have in common what it has just done, and the marks,
// put in order, cut the whole into phases.
//
// It decides nothing about what is measured and prints nothing on its own. pkg/cli
// makes a Recorder when the user asks for one, and shows the report; the engine and
// the monitor mark what they do. Everything may be called on a nil *Recorder: that
// is how a command runs whose time nobody asked for, and it costs a comparison.
package timing

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Names of the processes, as reports show them.
const (
	Vpod    = "vpod"    // the user's command
	Monitor = "monitor" // of its container
	Guest   = "guest"   // the agent, which the monitor speaks for
	QEMU    = "QEMU"
)

// Mark is the end of a phase: the moment at which something was done.
type Mark struct {
	By      string `json:"by"`                // the process that did it, or that learned that it was done
	What    string `json:"what"`              // as "find the image"
	AtNanos int64  `json:"at"`                // by CLOCK_MONOTONIC of the host
	Host    int64  `json:"host,omitempty"`    // processor time of By so far, in nanoseconds; 0 is not known
	Machine int64  `json:"machine,omitempty"` // that of QEMU, where By knows it
}

// Usage is the processor time of a process, in nanoseconds.
type Usage struct {
	Process     string `json:"process"`
	UserNanos   int64  `json:"userNanos"`
	SystemNanos int64  `json:"systemNanos"`
}

// Record is what a process has recorded, on its way to another.
type Record struct {
	Marks []Mark  `json:"marks,omitempty"`
	Usage []Usage `json:"usage,omitempty"`
}

// maxMarks bounds the marks kept: a container that is started again and again by
// its policy goes on marking.
const maxMarks = 256

// Recorder collects what a process marks. Its methods may be called from several
// goroutines, and do nothing on nil.
type Recorder struct {
	by string

	mu      sync.Mutex
	marks   []Mark
	usage   []Usage
	machine func() time.Duration
}

// New returns a Recorder for what process by does.
func New(by string) *Recorder { return &Recorder{by: by} }

// Mark notes that what has just been done.
func (r *Recorder) Mark(what string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := Mark{By: r.by, What: what, AtNanos: Now(), Host: ProcessorTime()}
	if r.machine != nil {
		m.Machine = int64(r.machine())
	}
	r.add(m)
}

// Add takes over marks that somebody else has made.
func (r *Recorder) Add(marks ...Mark) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range marks {
		r.add(m)
	}
}

// add keeps a mark. r.mu is held.
func (r *Recorder) add(m Mark) {
	if len(r.marks) < maxMarks {
		r.marks = append(r.marks, m)
	}
}

// MeasureMachine has every mark from now on hold what used returns, the processor
// time of the machine. The function must return without delay.
func (r *Recorder) MeasureMachine(used func() time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.machine = used
}

// Use notes the processor time of processes; what was noted of one before is replaced.
func (r *Recorder) Use(usage ...Usage) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range usage {
		r.usage = replaceUsage(r.usage, u)
	}
}

func replaceUsage(list []Usage, u Usage) []Usage {
	for i := range list {
		if list[i].Process == u.Process {
			list[i] = u
			return list
		}
	}
	return append(list, u)
}

// Take returns what has been recorded, and forgets it; nil when r is.
func (r *Recorder) Take() *Record {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := &Record{Marks: r.marks, Usage: r.usage}
	r.marks, r.usage = nil, nil
	return taken
}

// Join adds what another process has recorded; nil adds nothing.
func (r *Recorder) Join(rec *Record) {
	if rec == nil {
		return
	}
	r.Add(rec.Marks...)
	r.Use(rec.Usage...)
}

// Now returns the time by CLOCK_MONOTONIC, in nanoseconds: the clock that all
// processes of a host have in common.
func Now() int64 { return clock(unix.CLOCK_MONOTONIC) }

// ProcessorTime returns what this process has used so far, its time before exec
// included, in nanoseconds.
func ProcessorTime() int64 { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// clock reads a clock; 0 is one that cannot be read.
func clock(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}

// OwnUsage returns the processor time of this process, by the name given.
func OwnUsage(name string) Usage {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return Usage{Process: name}
	}
	return Usage{Process: name, UserNanos: u.Utime.Nano(), SystemNanos: u.Stime.Nano()}
}
