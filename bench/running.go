package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// measureExec runs processes in a container that runs all the time.
func measureExec(ctx context.Context, w *world) (rows []row, err error) {
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		return timed(w, p, p.command("exec", "bench", "true")), w.keepRunning(ctx, p, "bench")
	})
	defer func() { err = errors.Join(err, w.removeContainers(ctx)) }()
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(25, 7), contestants, []row{
		{Name: "exec/wall", Title: "`exec CONTAINER true`", Unit: milliseconds, Goal: &goal{ofRatio, 1, 0.5}},
	})
}

// keepRunning starts a container that stays.
func (w *world) keepRunning(ctx context.Context, p *program, name string, options ...string) error {
	image, err := w.image(ctx, p, busyboxImage)
	if err != nil {
		return err
	}
	args := append([]string{"--detach", "--name", name, "--network", "none"}, options...)
	_, err = w.run(ctx, p.container("run", append(args, image, "sleep", "100000")...)...)
	return err
}

// stoppable ends by itself when it is told to, and says when it can be told.
const stoppable = `trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 1000 & wait $!; done`

// measureStartStop starts and stops a container that was made before.
func measureStartStop(ctx context.Context, w *world) (rows []row, err error) {
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		image, err := w.image(ctx, p, busyboxImage)
		if err != nil {
			return contestant{}, err
		}
		_, err = w.run(ctx, p.container("create", "--name", "bench", "--network", "none", image, "sh", "-c", stoppable)...)
		return contestant{name: p.name, one: func(ctx context.Context) (values, error) { return startStop(ctx, w, p) }}, err
	})
	defer func() { err = errors.Join(err, w.removeContainers(ctx)) }()
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(11, 3), contestants, []row{
		{Name: "startstop/start", Title: "`start CONTAINER`", Unit: milliseconds},
		{Name: "startstop/stop", Title: "`stop CONTAINER`, which ends at SIGTERM", Unit: milliseconds},
	})
}

func startStop(ctx context.Context, w *world, p *program) (values, error) {
	before, err := descendants(os.Getpid())
	if err != nil {
		return nil, err
	}
	start, err := w.run(ctx, p.command("start", "bench")...)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		log, err := w.run(ctx, p.command("logs", "bench")...)
		if err == nil && strings.HasSuffix(log.stdout, "ready") {
			break
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the container does not say that it is ready: %q", log.stdout), err)
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
	stop, err := w.run(ctx, p.command("stop", "bench")...)
	if err != nil {
		return nil, err
	}
	return values{"start": ms(start.wall), "stop": ms(stop.wall)}, settle(ctx, before)
}

// psContainers is how many containers ps lists.
const psContainers = 100

func measurePs(ctx context.Context, w *world) (rows []row, err error) {
	contestants, err := eachProgram(w, func(p *program) (contestant, error) {
		image, err := w.image(ctx, p, busyboxImage)
		if err != nil {
			return contestant{}, err
		}
		for n := range psContainers {
			if _, err := w.run(ctx, p.container("create", "--name", fmt.Sprint("bench", n), "--network", "none", image, "true")...); err != nil {
				return contestant{}, err
			}
		}
		return timed(w, p, p.command("ps", "--all")), nil
	})
	defer func() { err = errors.Join(err, w.removeContainers(ctx)) }()
	if err != nil {
		return nil, err
	}
	return compare(ctx, w, w.rounds(40, 10), contestants, []row{
		{Name: "ps/wall", Title: fmt.Sprintf("`ps --all`, %d containers, none running", psContainers), Unit: milliseconds, Goal: &goal{ofRatio, 1, 0.5}},
	})
}
