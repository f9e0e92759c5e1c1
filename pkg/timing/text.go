package timing

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText prints the report for a person, in milliseconds.
func (r Report) WriteText(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "BEGIN ms\tTOOK ms\tHOST CPU\tMACHINE CPU\t  BY       WHAT\n")
	var host, machine int64
	for _, p := range r.Phases {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t  %-7s  %s\n", millis(p.BeginNanos), millis(p.TookNanos), used(p.HostNanos), used(p.MachineNanos), p.By, p.What)
		host, machine = host+p.HostNanos, machine+p.MachineNanos
	}
	fmt.Fprintf(table, "\t%s\t%s\t%s\t  total\n", millis(r.TotalNanos), used(host), used(machine))
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "processor time, user + system, in ms: %s\n", r.usageText())
	fmt.Fprintf(&b, "not counted above: exec and dynamic linker before vpod's first instruction (%s ms of processor time),\n"+
		"what a monitor does once it has told the end, and the exit of vpod itself\n", millis(r.BeforeNanos))
	_, err := io.WriteString(w, b.String())
	return err
}

// usageText lists the processes.
func (r Report) usageText() string {
	var parts []string
	all := int64(0)
	for _, u := range r.Usage {
		parts = append(parts, fmt.Sprintf("%s %s + %s", u.Process, millis(u.UserNanos), millis(u.SystemNanos)))
		all += u.UserNanos + u.SystemNanos
	}
	return strings.Join(append(parts, "all "+millis(all)), ", ")
}

// millis prints nanoseconds as milliseconds.
func millis(nanos int64) string { return fmt.Sprintf("%.2f", float64(nanos)/1e6) }

// used is millis of a processor time; nothing was used, or it is not known.
func used(nanos int64) string {
	if nanos == 0 {
		return "-"
	}
	return millis(nanos)
}
