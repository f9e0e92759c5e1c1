package engine

import (
	"context"
	"errors"
	"fmt"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/store"
)

// errNoContainer is what the state says of an unknown container.
var errNoContainer = store.ErrNotFound

// find returns the container the user named, as it truly is.
func (e *Engine) find(ctx context.Context, nameOrID string) (container.Container, *monitor.Status, error) {
	db, err := e.state(ctx)
	if err != nil {
		return container.Container{}, nil, err
	}
	c, err := db.Get(ctx, nameOrID)
	if errors.Is(err, errNoContainer) {
		err = &HintError{Err: err, Hint: "`vpod ps --all` lists the containers there are"}
	}
	if err != nil {
		return container.Container{}, nil, err
	}
	c, live, gone, err := e.observe(ctx, c)
	if err != nil {
		return container.Container{}, nil, err
	}
	if gone {
		return container.Container{}, nil, &store.NotFoundError{NameOrID: nameOrID}
	}
	return c, live, nil
}

// chosen is one container of a Selection, or why the named one is not there.
type chosen struct {
	Result
	container.Container
	live *monitor.Status
}

// choose resolves a selection. Unknown names become entries with an error.
// wanted, when not nil, narrows --all and filters to the containers a verb can
// work on; named containers are never left out.
func (e *Engine) choose(ctx context.Context, sel Selection, wanted func(container.Container) bool) ([]chosen, error) {
	if sel.All || sel.Latest || len(sel.Filters) > 0 {
		listed, err := e.observeAll(ctx)
		if err != nil {
			return nil, err
		}
		match, err := parseFilters(sel.Filters)
		if err != nil {
			return nil, err
		}
		var out []chosen
		for _, c := range listed {
			c.Result = Result{Input: c.Spec.ID, ID: c.Spec.ID}
			out = append(out, c)
		}
		if sel.Latest {
			if len(out) == 0 {
				return nil, errors.New("there is no container: --latest has nothing to name")
			}
			return out[len(out)-1:], nil
		}
		kept := out[:0]
		for _, c := range out {
			if match(c, listed) && (wanted == nil || wanted(c.Container)) {
				kept = append(kept, c)
			}
		}
		return kept, nil
	}
	var out []chosen
	seen := map[string]bool{}
	for _, name := range sel.Names {
		c, live, err := e.find(ctx, name)
		if errors.Is(err, errNoContainer) && sel.Ignore {
			continue
		}
		if err == nil && seen[c.Spec.ID] {
			continue
		}
		seen[c.Spec.ID] = true
		out = append(out, chosen{Result: Result{Input: name, ID: c.Spec.ID, Err: err}, Container: c, live: live})
	}
	return out, nil
}

// observeAll returns every container as it truly is, the oldest first.
func (e *Engine) observeAll(ctx context.Context) ([]chosen, error) {
	db, err := e.state(ctx)
	if err != nil {
		return nil, err
	}
	all, err := db.List(ctx)
	var damaged *store.DamagedRowsError
	if errors.As(err, &damaged) {
		e.opts.Notice(fmt.Sprintf("passing over damaged containers: %v", damaged))
	} else if err != nil {
		return nil, err
	}
	e.sweep(ctx, all)
	out := make([]chosen, 0, len(all))
	for _, c := range all {
		now, live, gone, err := e.observe(ctx, c)
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil { // what is wrong with one must not hide the others
			e.opts.Notice(fmt.Sprintf("container %s: %v", c.Spec.Name, err))
			now = c
		}
		if !gone {
			c := now
			out = append(out, chosen{Container: c, live: live})
		}
	}
	return out, nil
}
