// Command table turns hyperfine's JSON results into a Markdown table: a row for
// each measurement, medians over all rounds, and the ratio of vpod to podman. It
// measures nothing; bench/run does.
//
// Arguments are files named ROW.PROGRAM.ROUND.json, as run.vpod.1.json; a title for
// ROW comes first as ROW=TITLE. Rows are printed in the order of their titles.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

// The programs that are compared.
const (
	ours   = "vpod"
	theirs = "podman"
)

// row is one line of the table.
type row struct {
	name, title string
	seconds     map[string][]float64 // by program
}

func run(out io.Writer, args []string) error {
	var rows []*row
	for _, arg := range args {
		if name, title, ok := strings.Cut(arg, "="); ok {
			rows = append(rows, &row{name: name, title: title, seconds: map[string][]float64{}})
			continue
		}
		name, program, err := parseName(arg)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r *row) bool { return r.name == name })
		if i < 0 {
			return fmt.Errorf("%s: no title was given for %q", arg, name)
		}
		times, err := readTimes(arg)
		if err != nil {
			return err
		}
		rows[i].seconds[program] = append(rows[i].seconds[program], times...)
	}
	fmt.Fprintf(out, "| | %s | %s | ratio |\n| --- | ---: | ---: | ---: |\n", ours, theirs)
	for _, r := range rows {
		a, b := r.seconds[ours], r.seconds[theirs]
		ratio := "–"
		if len(a) > 0 && len(b) > 0 {
			ratio = fmt.Sprintf("%.1f", median(a)/median(b))
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", r.title, cell(a), cell(b), ratio)
	}
	return nil
}

// parseName splits a file's name into row and program.
func parseName(path string) (name, program string, err error) {
	parts := strings.Split(filepath.Base(path), ".")
	if len(parts) != 4 || parts[3] != "json" {
		return "", "", fmt.Errorf("%s: the form is ROW.PROGRAM.ROUND.json", path)
	}
	return parts[0], parts[1], nil
}

// readTimes returns the times, in seconds, of hyperfine's export.
func readTimes(path string) ([]float64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var export struct {
		Results []struct{ Times []float64 }
	}
	if err := json.Unmarshal(b, &export); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var times []float64
	for _, r := range export.Results {
		times = append(times, r.Times...)
	}
	return times, nil
}

// median of times, which are not empty.
func median(times []float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// cell prints a median with the spread it comes from, in milliseconds.
func cell(times []float64) string {
	if len(times) == 0 {
		return "–"
	}
	ms := func(seconds float64) string {
		if seconds < 0.1 {
			return fmt.Sprintf("%.1f", seconds*1000)
		}
		return fmt.Sprintf("%.0f", seconds*1000)
	}
	return fmt.Sprintf("%s ms (%s–%s, n=%d)", ms(median(times)), ms(slices.Min(times)), ms(slices.Max(times)), len(times))
}
