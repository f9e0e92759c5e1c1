package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is what one run of the benchmark found.
type report struct {
	Environment environment `json:"environment"`
	Rows        []row       `json:"rows"`
}

func (r report) writeJSON(out io.Writer) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// readReport reads what writeJSON wrote; of its rows those of the chosen measurements.
func readReport(path string, chosen []measurement) (report, error) {
	var r report
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read %s: %w", path, err)
	}
	r.Rows = slices.DeleteFunc(r.Rows, func(row row) bool {
		name, _, _ := strings.Cut(row.Name, "/")
		return !slices.ContainsFunc(chosen, func(m measurement) bool { return m.name == name })
	})
	return r, nil
}

// writeText prints a table for a terminal, with the notes below it.
func (r report) writeText(out io.Writer) error {
	for _, line := range r.Environment.lines() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out)
	cells, notes := r.table()
	var aligned strings.Builder
	tw := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, line := range cells {
		fmt.Fprintln(tw, strings.ReplaceAll(strings.Join(line, "\t"), "`", ""))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(aligned.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
	return writeNotes(out, notes)
}

// writeMarkdown prints the table for a document.
func (r report) writeMarkdown(out io.Writer) error {
	fmt.Fprintf(out, "%s\n\n", strings.Join(r.Environment.lines(), "\n"))
	cells, notes := r.table()
	for i, line := range cells {
		fmt.Fprintf(out, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintln(out, "| --- | ---: | ---: | ---: | --- |")
		}
	}
	return writeNotes(out, notes)
}

func writeNotes(out io.Writer, notes []string) error {
	if len(notes) > 0 {
		fmt.Fprintln(out)
	}
	for i, note := range notes {
		fmt.Fprintf(out, "%d. %s.\n", i+1, strings.TrimSuffix(note, "."))
	}
	_, err := fmt.Fprint(out)
	return err
}

// table returns the cells, the heading first, and the notes they refer to.
func (r report) table() (cells [][]string, notes []string) {
	cells = [][]string{{"", ours, theirs, "ratio", "goal"}}
	for _, row := range r.Rows {
		title := row.Title
		for _, note := range row.Notes {
			i := slices.Index(notes, note)
			if i < 0 {
				i = len(notes)
				notes = append(notes, note)
			}
			title += fmt.Sprintf(" (%d)", i+1)
		}
		ratio := "–"
		if v, ok := row.ratio(); ok {
			ratio = fmt.Sprintf("%.2f", v)
			if row.Unit == throughput {
				ratio += " (more is better)"
			}
		}
		cells = append(cells, []string{title, row.cell(ours), row.cell(theirs), ratio, row.goalCell()})
	}
	return cells, notes
}

// cell is a median with its unit and spread.
func (r row) cell(program string) string {
	s := r.Samples[program]
	switch len(s) {
	case 0:
		return "–"
	case 1:
		return fmt.Sprintf("%s %s (1)", number(s[0]), r.Unit)
	}
	return fmt.Sprintf("%s %s (%s–%s, %d)", number(median(s)), r.Unit, number(slices.Min(s)), number(slices.Max(s)), len(s))
}

// goalCell says what was to be reached and what was.
func (r row) goalCell() string {
	if r.Goal == nil {
		return ""
	}
	of := ""
	if r.Goal.Of == ofValue {
		of = " " + r.Unit
	}
	words := map[string]string{"then": "both reached", "first": "the first reached", "none": "not reached", "unknown": "not measured"}
	return fmt.Sprintf("%g%s, then %g%s: %s", r.Goal.First, of, r.Goal.Then, of, words[r.reached()])
}
