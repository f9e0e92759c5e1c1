package main

import (
	"context"
	"errors"
	"strings"
)

// program is one of those compared, with directories of its own.
type program struct {
	name     string
	argv     []string // the binary and the options before every verb
	creating []string // options of every run and create
	network  string   // why its default network does not work here; "" when it does
	loaded   map[string]bool
}

// command is a command line of the program.
func (p *program) command(args ...string) []string {
	return append(p.argv[:len(p.argv):len(p.argv)], args...)
}

// container is a command line of run or create.
func (p *program) container(verb string, args ...string) []string {
	return append(p.command(append([]string{verb}, p.creating...)...), args...)
}

// removeAll removes all containers of the program, and waits until no process of
// them is left. The other program must have none.
func (p *program) removeAll(ctx context.Context, w *world) error {
	return errors.Join(p.forceRemove(ctx, w), settle(ctx, w.standing))
}

func (p *program) forceRemove(ctx context.Context, w *world) error {
	_, err := w.run(ctx, p.command("rm", "--all", "--force", "--time", "0")...)
	return err
}

// removeContainers removes those of all programs, also when ctx is done.
func (w *world) removeContainers(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	var errs []error
	for _, p := range w.programs() {
		errs = append(errs, p.forceRemove(ctx, w))
	}
	return errors.Join(append(errs, settle(ctx, w.standing))...)
}

// remove removes one container.
func (p *program) remove(ctx context.Context, w *world, name string) error {
	_, err := w.runSettled(ctx, p.command("rm", "--force", "--time", "0", name)...)
	return err
}

// hasOption says whether a verb of vpod knows an option.
func (w *world) hasOption(ctx context.Context, verb, option string) bool {
	r, err := w.run(ctx, w.vpod.command(verb, "--help")...)
	return err == nil && strings.Contains(r.stdout, " "+option)
}
