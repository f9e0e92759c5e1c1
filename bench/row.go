package main

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Programs that are compared, as they are called in rows.
const (
	ours   = "vpod"
	theirs = "podman"
)

// Units of rows.
const (
	milliseconds = "ms"
	microseconds = "µs"
	mebibytes    = "MiB"
	throughput   = "MiB/s" // more is better; of all others, less
)

// row is one line of the table: what was measured of each program, one value a run.
type row struct {
	Name    string               `json:"name"`  // as in --only, with what is measured of it
	Title   string               `json:"title"` // Markdown
	Unit    string               `json:"unit"`
	Goal    *goal                `json:"goal,omitempty"`
	Samples map[string][]float64 `json:"samples"` // by program
	Notes   []string             `json:"notes,omitempty"`
}

// note adds one.
func (r *row) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// goal is what the row should reach, first and then.
type goal struct {
	Of    string  `json:"of"` // ofRatio or ofValue
	First float64 `json:"first"`
	Then  float64 `json:"then"`
}

// What a goal bounds: the ratio to podman, or our own median.
const (
	ofRatio = "ratio"
	ofValue = "value"
)

// ratio is our median divided by podman's; false when one is missing.
func (r row) ratio() (float64, bool) {
	a, b := r.Samples[ours], r.Samples[theirs]
	if len(a) == 0 || len(b) == 0 || median(b) == 0 {
		return 0, false
	}
	return median(a) / median(b), true
}

// reached says in a word which of its goals the row has reached; "" without one.
func (r row) reached() string {
	if r.Goal == nil {
		return ""
	}
	value, ok := r.ratio()
	if r.Goal.Of == ofValue {
		ok = len(r.Samples[ours]) > 0
		if ok {
			value = median(r.Samples[ours])
		}
	}
	switch {
	case !ok:
		return "unknown"
	case value <= r.Goal.Then:
		return "then"
	case value <= r.Goal.First:
		return "first"
	}
	return "none"
}

// MarshalJSON adds what follows from the samples.
func (r row) MarshalJSON() ([]byte, error) {
	type plain row
	type summary struct {
		Median  float64 `json:"median"`
		Lowest  float64 `json:"lowest"`
		Highest float64 `json:"highest"`
		Runs    int     `json:"runs"`
	}
	out := struct {
		plain
		Summary map[string]summary `json:"summary"`
		Ratio   *float64           `json:"ratio,omitempty"`
		Reached string             `json:"reached,omitempty"`
	}{plain: plain(r), Summary: map[string]summary{}, Reached: r.reached()}
	for name, s := range r.Samples {
		if len(s) > 0 {
			out.Summary[name] = summary{median(s), slices.Min(s), slices.Max(s), len(s)}
		}
	}
	if ratio, ok := r.ratio(); ok {
		out.Ratio = &ratio
	}
	return json.Marshal(out)
}

// median of values, of which there is at least one.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// number prints a value with about three digits.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a < 10:
		return fmt.Sprintf("%.2f", v)
	case a < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
