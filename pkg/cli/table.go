package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/containers/common/pkg/report"
)

// table describes how a list of rows is printed by --format.
type table struct {
	name      string
	columns   string            // the default template, one line per row
	headings  map[string]string // of fields whose heading is not their name
	noHeading bool
	format    string // of the user; "" is the default
}

// write prints rows, a slice of structs; sample is one such struct, for the
// headings.
func (t table) write(w io.Writer, rows, sample any) error {
	origin, text := report.OriginPodman, t.columns
	if t.format != "" {
		origin, text = report.OriginUser, t.format
	}
	f, err := report.New(w, t.name).Parse(origin, text)
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	if f.RenderHeaders && !t.noHeading {
		if err := f.Execute(report.Headers(sample, t.headings)); err != nil {
			return fmt.Errorf("--format: %w", err)
		}
	}
	if err := f.Execute(rows); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	return f.Flush()
}

// isJSON reports whether a value of --format asks for JSON.
func isJSON(format string) bool {
	switch strings.TrimSpace(format) {
	case "json", "{{json .}}", "{{ json .}}", "{{json . }}", "{{ json . }}":
		return true
	}
	return false
}
