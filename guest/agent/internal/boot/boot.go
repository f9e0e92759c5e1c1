// Package boot makes the machine fit for containers: a root that can be pivoted
// away from, the kernel's file systems, control groups, loopback and limits.
//
// The whole of it is the table in rows.go.
package boot

import "fmt"

// Row is one step of the boot. It does itself and prints itself.
type Row struct {
	What     string
	Required bool // its failure stops the boot
	Do       func() error
}

func (r Row) String() string {
	if r.Required {
		return r.What
	}
	return r.What + " (optional)"
}

// Error reports the required row that failed.
type Error struct {
	Row Row
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("boot: %s: %v", e.Row, e.Err) }

func (e *Error) Unwrap() error { return e.Err }

// Run does the rows in order. It returns an *Error at the first required one that
// fails; failures of others go to logf.
func Run(rows []Row, logf func(format string, args ...any)) error {
	for _, r := range rows {
		if err := r.Do(); err != nil {
			if r.Required {
				return &Error{r, err}
			}
			logf("boot: %s: %v", r, err)
		}
	}
	return nil
}
