package main

import (
	"context"
	"fmt"
)

// contestant is one side of a comparison. Everything but one is untimed.
type contestant struct {
	name   string
	before func(ctx context.Context) error // before each run; may be nil
	one    func(ctx context.Context) (values, error)
	after  func(ctx context.Context) error // after each run; may be nil
}

// values are what one run measures, by the name of the row they belong to.
type values map[string]float64

// record is what alternate returns: samples by row name, then by contestant.
type record map[string]map[string][]float64

func (r record) add(contestant string, v values) {
	for row, value := range v {
		if r[row] == nil {
			r[row] = map[string][]float64{}
		}
		r[row][contestant] = append(r[row][contestant], value)
	}
}

// alternate runs all contestants in turns, A B A B, so that what else happens on the
// machine falls on all of them. The first turn of each is not counted: it warms what
// can be warm. A contestant that fails leaves the race with what it measured so far
// thrown away; the errors say why, by its name.
func alternate(ctx context.Context, rounds int, contestants []contestant) (record, map[string]error) {
	all := record{}
	failed := map[string]error{}
	for round := range rounds + 1 {
		for _, c := range contestants {
			if failed[c.name] != nil {
				continue
			}
			v, err := c.turn(ctx)
			if err != nil {
				failed[c.name] = err
				continue
			}
			if round > 0 {
				all.add(c.name, v)
			}
		}
	}
	for name := range failed {
		for _, samples := range all {
			delete(samples, name)
		}
	}
	return all, failed
}

func (c contestant) turn(ctx context.Context) (v values, err error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	v, err = c.one(ctx)
	if c.after != nil {
		if err2 := c.after(context.WithoutCancel(ctx)); err == nil {
			err = err2
		}
	}
	return v, err
}
