package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// measurePhases has vpod say where the time of a run went (`run --timing`), and adds
// up what each phase took. Phases of one run follow each other without a gap, so
// that their means add up to the whole; medians nearly do.
func measurePhases(ctx context.Context, w *world) ([]row, error) {
	if !w.hasOption(ctx, "run", "--timing") {
		return []row{{Name: "phases", Title: "phases of a run", Notes: []string{"not in this build"}}}, nil
	}
	image, err := w.image(ctx, w.vpod, busyboxImage)
	if err != nil {
		return nil, err
	}
	argv := w.vpod.container("run", "--rm", "--network", "none", "--timing=json", image, "true")
	var all []phases
	c := contestant{name: ours, one: func(ctx context.Context) (values, error) {
		before, err := descendants(os.Getpid())
		if err != nil {
			return nil, err
		}
		r, err := w.run(ctx, argv...)
		if err != nil {
			return nil, err
		}
		p, err := parsePhases(r.stderr)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
		return nil, settle(ctx, before)
	}}
	if _, failed := alternate(ctx, w.rounds(15, 5), []contestant{c}); failed[ours] != nil {
		return nil, failed[ours]
	}
	return phaseRows(all[1:]), nil // the first turn is not counted
}

// phases are what one run of vpod reports.
type phases struct {
	TotalNanos int64
	Phases     []struct {
		By, What              string
		BeginNanos, TookNanos int64
	}
}

// parsePhases reads the last line, after what vpod may have had to say before.
func parsePhases(stderr string) (phases, error) {
	var p phases
	if err := json.Unmarshal([]byte(lastLine(stderr)), &p); err != nil {
		return p, fmt.Errorf("what --timing=json prints: %w", err)
	}
	return p, nil
}

// phaseRows makes a row of each phase, in the order in which they usually begin, and
// one of the whole. What a process does several times in a run is one phase.
func phaseRows(all []phases) []row {
	begins, took := map[string][]float64{}, map[string][]float64{}
	var whole []float64
	for _, run := range all {
		whole = append(whole, float64(run.TotalNanos)/1e6)
		sum := map[string]float64{}
		for _, p := range run.Phases {
			name := p.By + ": " + p.What
			if _, ok := sum[name]; !ok {
				begins[name] = append(begins[name], float64(p.BeginNanos))
			}
			sum[name] += float64(p.TookNanos) / 1e6
		}
		for name, v := range sum {
			took[name] = append(took[name], v)
		}
	}
	var rows []row
	for name, samples := range took {
		rows = append(rows, row{Name: "phases/" + name, Title: name, Unit: milliseconds, Samples: map[string][]float64{ours: samples}})
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(median(begins[a.Title]), median(begins[b.Title])), cmp.Compare(a.Title, b.Title))
	})
	return append(rows, row{Name: "phases/total", Title: "all of it", Unit: milliseconds, Samples: map[string][]float64{ours: whole}})
}
