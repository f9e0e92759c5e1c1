package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// measureMemory starts idle containers with their default network, one, then more,
// and reads the memory of every process that came of it: QEMU, monitor and passt, or
// conmon and the container's own. Pages that several processes share count once,
// divided among them (PSS). The kernel's own memory and files in its cache that
// nobody maps do not count.
//
// The programs take turns with whole fleets, not with single containers. With the
// largest fleet up, `ps` is measured, too.
func measureMemory(ctx context.Context, w *world) ([]row, error) {
	counts := []int{1, 10, 50}
	if w.quick {
		counts = counts[:2]
	}
	most := counts[len(counts)-1]
	var notes []string
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		_, err := w.image(ctx, p, busyboxImage)
		var what string
		return contestant{
			name: p.name,
			one: func(ctx context.Context) (values, error) {
				v, detail, err := fleet(ctx, w, p, counts)
				if err == nil && what == "" {
					what = detail
					notes = append(notes, detail)
				}
				return v, err
			},
			after: func(ctx context.Context) error { return p.removeAll(ctx, w) },
		}, err
	})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, n := range counts {
		r := row{Name: fmt.Sprint("memory/", n), Title: fmt.Sprintf("memory of an idle container, at %d", n), Unit: mebibytes}
		if n == 10 {
			r.Goal = &goal{ofValue, 45, 35}
		}
		rows = append(rows, r)
	}
	rows = append(rows, row{Name: "memory/ps", Title: fmt.Sprintf("`ps`, %d containers, all running", most), Unit: milliseconds})
	rows, err = compareFleets(ctx, w, contestants, rows)
	rows[len(counts)-1].Notes = append(rows[len(counts)-1].Notes, notes...)
	return rows, err
}

// compareFleets is compare without turns that do not count: a fleet warms nothing.
func compareFleets(ctx context.Context, w *world, contestants []contestant, rows []row) ([]row, error) {
	all, errs := record{}, map[string]error{}
	for range w.rounds(3, 1) {
		for _, c := range contestants {
			if errs[c.name] != nil {
				continue
			}
			v, err := c.turn(ctx)
			if errs[c.name] = err; err == nil {
				all.add(c.name, v)
			}
		}
	}
	for i := range rows {
		_, value, _ := strings.Cut(rows[i].Name, "/")
		rows[i].Samples = all[value]
		if err := errs[theirs]; err != nil {
			rows[i].note("podman: %v", err)
		}
	}
	return rows, errors.Join(ctx.Err(), errs[ours])
}

// fleet starts containers until there are as many as each of counts says, and
// returns MiB for each under its count, the time of ps under "ps", and a text that
// says whose memory the most numerous ones' was.
func fleet(ctx context.Context, w *world, p *program, counts []int) (values, string, error) {
	before, err := descendants(os.Getpid())
	if err != nil {
		return nil, "", err
	}
	v, detail, up := values{}, "", 0
	for _, count := range counts {
		if err := launch(ctx, w, p, up, count); err != nil {
			return nil, "", err
		}
		up = count
		if err := pause(ctx, time.Duration(w.rounds(15, 5))*time.Second); err != nil { // guests give memory back after a while
			return nil, "", err
		}
		now, err := descendants(os.Getpid())
		if err != nil {
			return nil, "", err
		}
		total, by, err := weigh(since(before, now))
		if err != nil {
			return nil, "", err
		}
		v[fmt.Sprint(count)] = mib(total.pss) / float64(count)
		detail = fmt.Sprintf("%s at %d: %s", p.name, count, by)
	}
	ps, err := w.run(ctx, p.command("ps")...)
	v["ps"] = ms(ps.wall)
	return v, detail, err
}

// launch starts the containers from one number up to another, as many at a time as
// there are processors.
func launch(ctx context.Context, w *world, p *program, from, to int) error {
	args := []string{"--detach"}
	if p.network != "" {
		args = append(args, "--network", "none")
	}
	args = append(args, reference(busyboxImage), "sleep", "100000")
	errs := make([]error, to)
	free := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for n := from; n < to; n++ {
		all.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			_, errs[n] = w.run(ctx, p.container("run", args...)...)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// weigh adds up the memory of processes, and says how much of it processes of each
// name have on average.
func weigh(all []task) (footprint, string, error) {
	var total footprint
	var errs []error
	count, sum := map[string]int{}, map[string]footprint{}
	for _, t := range all {
		m, err := memory(t.pid)
		errs = append(errs, err)
		total.pss += m.pss
		total.private += m.private
		s := sum[t.name]
		sum[t.name] = footprint{s.pss + m.pss, s.private + m.private}
		count[t.name]++
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		n := float64(count[name])
		parts = append(parts, fmt.Sprintf("%d %s of %.1f MiB, %.1f of it private", count[name], name, mib(sum[name].pss)/n, mib(sum[name].private)/n))
	}
	return total, strings.Join(parts, ", "), errors.Join(errs...)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
