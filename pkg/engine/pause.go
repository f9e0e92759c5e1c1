package engine

import (
	"context"
	"errors"
	"fmt"

	"vpod/pkg/container"
	"vpod/pkg/monitor"
)

// paused is what a monitor says of itself while its machine stands still.
const paused = "paused"

// isPaused reports whether a container's machine stands still.
func (c chosen) isPaused() bool { return c.live != nil && c.live.State == paused }

// refusePaused refuses a verb that a container which stands still cannot obey.
func (c chosen) refusePaused(verb string) error {
	if !c.isPaused() {
		return nil
	}
	return &container.StateError{Name: c.Spec.Name, Have: paused, Verb: verb, Hint: "`vpod unpause` it first"}
}

// Pause stops the machines of running containers. A selection that names none takes
// only those that run.
func (e *Engine) Pause(ctx context.Context, sel Selection) []Result {
	return e.each(ctx, sel, isLive, nil, func(ctx context.Context, c chosen) error {
		if state := c.shownState(); state != string(container.Running) {
			if len(sel.Names) == 0 {
				return nil
			}
			return &container.StateError{Name: c.Spec.Name, Have: container.State(state), Verb: "pause", Hint: "only running containers can be paused"}
		}
		return e.tellMonitor(ctx, c, "pause", monitor.Pause)
	})
}

// Unpause lets the machines of paused containers go on. A selection that names none
// takes only those.
func (e *Engine) Unpause(ctx context.Context, sel Selection) []Result {
	return e.each(ctx, sel, isLive, nil, func(ctx context.Context, c chosen) error {
		if !c.isPaused() {
			if len(sel.Names) == 0 {
				return nil
			}
			return &container.StateError{Name: c.Spec.Name, Have: container.State(c.shownState()), Verb: "unpause", Hint: "only paused containers can be unpaused"}
		}
		return e.tellMonitor(ctx, c, "unpause", monitor.Unpause)
	})
}

// tellMonitor gives a container's monitor an order.
func (e *Engine) tellMonitor(ctx context.Context, c chosen, verb string, order func(ctx context.Context, path, container string) error) error {
	err := order(ctx, e.reach(c.Spec.ID).AttachSocket(), c.Spec.ID)
	if errors.Is(err, monitor.ErrGone) {
		return &container.StateError{Name: c.Spec.Name, Have: container.Exited, Verb: verb, Hint: "it has ended meanwhile"}
	}
	if err != nil {
		return fmt.Errorf("%s container %s: %w", verb, c.Spec.Name, err)
	}
	return nil
}
