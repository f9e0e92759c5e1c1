package timing

import (
	"cmp"
	"slices"
)

// Report is where the time of a command went. The phases follow each other without
// a gap, so that they add up to the whole; what processes did at the same time is
// told apart only by the marks.
type Report struct {
	TotalNanos int64   `json:"totalNanos"`
	Phases     []Phase `json:"phases"`

	// BeforeNanos is the processor time that vpod's process had used when its own
	// first instruction ran: exec and the dynamic linker. The phases begin there.
	BeforeNanos int64   `json:"beforeProcessorNanos"`
	Usage       []Usage `json:"processorTime"`
}

// Phase is the time from one mark to the next.
type Phase struct {
	By         string `json:"by"`
	What       string `json:"what"`
	BeginNanos int64  `json:"beginNanos"` // since the beginning of the whole
	TookNanos  int64  `json:"tookNanos"`

	// HostNanos is the processor time that By used since its last mark, not all of it
	// within this phase. MachineNanos is QEMU's, since the last mark that knew it.
	HostNanos    int64 `json:"hostProcessorNanos,omitempty"`
	MachineNanos int64 `json:"machineProcessorNanos,omitempty"`
}

// Report puts everything recorded so far in order. The first mark is where the
// whole begins and ends no phase; the last one is its end.
func (r *Recorder) Report() Report {
	if r == nil {
		return Report{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return newReport(r.marks, r.usage)
}

// newReport computes a report.
func newReport(marks []Mark, usage []Usage) Report {
	out := Report{Usage: slices.Clone(usage)}
	slices.SortStableFunc(out.Usage, func(a, b Usage) int { return cmp.Compare(usageOrder(a), usageOrder(b)) })
	if len(marks) == 0 {
		return out
	}
	marks = slices.Clone(marks)
	slices.SortStableFunc(marks, func(a, b Mark) int { return cmp.Compare(a.AtNanos, b.AtNanos) })
	first := marks[0]
	used := map[string]int64{first.By: first.Host} // by each process, at its last mark
	machine := int64(0)
	out.BeforeNanos = first.Host
	last := first.AtNanos
	for _, m := range marks[1:] {
		p := Phase{By: m.By, What: m.What, BeginNanos: last - first.AtNanos, TookNanos: m.AtNanos - last}
		p.HostNanos, used[m.By] = growth(used[m.By], m.Host)
		p.MachineNanos, machine = growth(machine, m.Machine)
		out.Phases = append(out.Phases, p)
		last = m.AtNanos
	}
	out.TotalNanos = last - first.AtNanos
	return out
}

// growth returns what a counter has grown by, and its new value; one that is not
// known, or runs backward, has not grown.
func growth(before, now int64) (grown, counter int64) {
	if now <= before {
		return 0, before
	}
	return now - before, now
}

// usageOrder sorts processes as they start each other; helpers come last.
func usageOrder(u Usage) int {
	if i := slices.Index([]string{Vpod, Monitor, QEMU}, u.Process); i >= 0 {
		return i
	}
	return 3
}
