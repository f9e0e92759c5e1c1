package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// atOnce is how many containers are started at once.
const atOnce = 16

// measureParallel starts many containers at once, and, in turn with that, one alone
// to see what processor time a start takes. On an idle machine that does nothing but
// start them, all together should take that time for each, divided by the number of
// processors, and not much more: the rest is waiting for each other.
func measureParallel(ctx context.Context, w *world) ([]row, error) {
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		image, err := w.image(ctx, p, busyboxImage)
		return contestant{
			name: p.name,
			one: func(ctx context.Context) (values, error) {
				one, err := startMany(ctx, w, p, image, 1)
				if err != nil {
					return nil, err
				}
				if err := p.removeAll(ctx, w); err != nil {
					return nil, err
				}
				many, err := startMany(ctx, w, p, image, atOnce)
				return values{"wall": ms(many.wall), "cpu": ms(many.cpu) / atOnce, "cpu-of-one": ms(one.cpu), "bound": ms(bound(one.cpu))}, err
			},
			after: func(ctx context.Context) error { return p.removeAll(ctx, w) },
		}, err
	})
	if err != nil {
		return nil, err
	}
	rows, err := compare(ctx, w, w.rounds(5, 2), contestants, []row{
		{Name: "parallel/wall", Title: fmt.Sprintf("%d `run --detach --network none` at once, until the last has started", atOnce), Unit: milliseconds, Goal: &goal{ofRatio, 2, 1}},
		{Name: "parallel/bound", Title: fmt.Sprintf("… its bound: %d × the processor time of one / %d processors + 10 %%", atOnce, runtime.NumCPU()), Unit: milliseconds},
		{Name: "parallel/cpu-of-one", Title: "… processor time of one that starts alone", Unit: milliseconds},
		{Name: "parallel/cpu", Title: "… processor time of one among them", Unit: milliseconds},
	})
	if err == nil {
		wall, limit := median(rows[0].Samples[ours]), median(rows[1].Samples[ours])
		word := "is within"
		if wall > limit {
			word = "is above"
		}
		rows[1].note("vpod's wall time %s the bound: %.2f of it", word, wall/limit)
	}
	return rows, err
}

// bound is how long many starts may take when one takes this processor time.
func bound(one time.Duration) time.Duration {
	return time.Duration(1.1 * atOnce * float64(one) / float64(runtime.NumCPU()))
}

// startMany starts containers at once and leaves them running. The time ends when
// the last command has returned, and the processor time includes what the processes
// that stay have used by then.
func startMany(ctx context.Context, w *world, p *program, image string, count int) (result, error) {
	before, err := descendants(os.Getpid())
	if err != nil {
		return result{}, err
	}
	spent := w.reaper.total()
	errs := make([]error, count)
	var all sync.WaitGroup
	start := time.Now()
	for n := range count {
		all.Go(func() {
			_, errs[n] = w.run(ctx, p.container("run", "--detach", "--network", "none", image, "sleep", "100000")...)
		})
	}
	all.Wait()
	r := result{wall: time.Since(start), cpu: w.reaper.total() - spent}
	now, err := descendants(os.Getpid())
	for _, t := range since(before, now) {
		r.cpu += cpuNow(t)
	}
	return r, errors.Join(append(errs, err)...)
}
