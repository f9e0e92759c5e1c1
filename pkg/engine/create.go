package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/seccomp"
	"vpod/pkg/store"
)

// Create makes a container that does not run yet: the image is fetched as
// opts.Pull asks and converted if it must be, and the row inserted. spec holds
// what the user asked; ID and Created are set here. Warnings are for a person.
// On error nothing is left behind.
func (e *Engine) Create(ctx context.Context, spec container.Spec, opts CreateOptions) (c container.Container, warnings []string, err error) {
	if spec.Name != "" {
		if err := checkName(spec.Name); err != nil {
			return c, nil, err
		}
	}
	cfg, err := config.Load()
	if err != nil {
		return c, nil, err
	}
	if err := e.checkFree(ctx, spec.Name, opts.Replace); err != nil {
		return c, nil, err
	}
	e.opts.Timing.Mark("read the settings")
	spec.ID = newID()
	if opts.Starts {
		e.expectMonitor(e.dirs.Container(spec.ID))
		e.opts.Timing.Mark("spawn the monitor")
	}
	e.sweepLayers(ctx)
	img, err := e.ensureImage(ctx, opts)
	e.opts.Timing.Mark("find the image") // or look for it in vain, which can take longest
	if err != nil {
		return c, nil, err
	}
	spec.Created = time.Now().UTC()
	proposed := spec.Name == ""
	if spec, err = resolve(spec, img, cfg, opts); err != nil {
		return c, nil, err
	}
	if spec.Network, err = resolveNetwork(spec.Network, cfg.DNSServers, cfg.DNSSearches, cfg.DNSOptions); err != nil {
		return c, nil, err
	}
	if warnings, err = e.checkSpec(spec); err != nil {
		return c, nil, err
	}
	if opts.Replace && !proposed {
		if err := e.removeByName(ctx, spec.Name); err != nil {
			return c, nil, err
		}
	}
	files := e.dirs.Container(spec.ID)
	if spec.Log.Path == "" && spec.Log.Driver != "none" {
		spec.Log.Path = files.Log()
	}
	op, err := e.reserve(ctx, files)
	if err != nil {
		return c, nil, err
	}
	defer op.Close()
	e.opts.Timing.Mark("resolve what was asked, make the container's directories")
	undo := func() { _ = removeFiles(files) } // what is left is for sweep
	if err := e.makeRootfs(ctx, spec, files, opts.Progress); err != nil {
		undo()
		return c, nil, err
	}
	e.opts.Timing.Mark("make the disks")
	record := container.Record{ID: spec.ID, State: container.Created}
	if err := e.insert(ctx, &spec, record, proposed); err != nil {
		undo()
		return c, nil, errors.Join(err, e.dropRootfs(context.WithoutCancel(ctx), spec))
	}
	if sharesTree(e, spec) {
		e.unmarkLayer(spec.ID)
	}
	e.opts.Timing.Mark("write the container down")
	// From here on the row holds the image's disk. A removal that looked before
	// the row was there may have taken it.
	if _, ok := e.disks().Lookup(spec.Image.ID); !ok && spec.Rootfs.Mode == container.RootfsDisk {
		undo()
		return c, nil, errors.Join(
			fmt.Errorf("image %s was removed while container %s was made from it: pull it again", spec.Image.Name, spec.Name),
			e.forget(context.WithoutCancel(ctx), spec.ID))
	}
	return container.Container{Spec: spec, Record: record}, warnings, nil
}

// forget deletes the row of a container whose creation has failed after all.
func (e *Engine) forget(ctx context.Context, id string) error {
	db, err := e.state(ctx)
	if err != nil {
		return err
	}
	if err := db.Delete(ctx, id); err != nil && !errors.Is(err, errNoContainer) {
		return err
	}
	return nil
}

// checkFree fails early when the name is in use; the database decides at the end.
func (e *Engine) checkFree(ctx context.Context, name string, replace bool) error {
	if name == "" || replace {
		return nil
	}
	c, _, err := e.find(ctx, name)
	switch {
	case errors.Is(err, errNoContainer), errors.Is(err, store.ErrAmbiguous):
		return nil
	case err != nil:
		return err
	case c.Spec.Name != name: // an id that begins like this
		return nil
	}
	return nameInUse(&store.NameInUseError{Name: name, Holder: c.Spec.ID})
}

// removeByName removes the container that has exactly this name, as --replace asks.
func (e *Engine) removeByName(ctx context.Context, name string) error {
	c, live, err := e.find(ctx, name)
	if errors.Is(err, errNoContainer) || (err == nil && c.Spec.Name != name) {
		return nil
	}
	if err != nil {
		return err
	}
	zero := 0
	if err := e.remove(ctx, c, live, RemoveOptions{Force: true, TimeoutSeconds: &zero}); err != nil {
		return fmt.Errorf("replace container %s: %w", name, err)
	}
	return nil
}

// insert writes the row. A name the user did not choose is proposed until one is free.
func (e *Engine) insert(ctx context.Context, spec *container.Spec, record container.Record, proposed bool) error {
	db, err := e.state(ctx)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		if proposed {
			spec.Name = proposeName(attempt)
		}
		err := db.Insert(ctx, *spec, record)
		if proposed && errors.Is(err, store.ErrNameInUse) && attempt < 100 {
			continue
		}
		return nameInUse(err)
	}
}

// nameInUse adds what to do about a name that is taken; other errors stay as they are.
func nameInUse(err error) error {
	if errors.Is(err, store.ErrNameInUse) {
		return &HintError{Err: err, Hint: "choose another name, or let --replace remove that container"}
	}
	return err
}

// checkSpec finds what would make the container fail at its start, and what a
// user may not expect.
func (e *Engine) checkSpec(spec container.Spec) (warnings []string, err error) {
	if spec.Process.SeccompProfile != nil {
		if _, err := seccomp.Parse(spec.Process.SeccompProfile); err != nil {
			return nil, fmt.Errorf("--security-opt seccomp=%s: %w", spec.Process.Seccomp, err)
		}
	}
	if spec.TZ != "" {
		if _, err := readTimeZone(spec.TZ); err != nil {
			return nil, err
		}
	}
	if spec.Machine.Kernel != "" {
		if _, err := os.Stat(spec.Machine.Kernel); err != nil {
			return nil, fmt.Errorf("--kernel: %w", err)
		}
	}
	if spec.Network.Mode == container.NetworkNone && len(spec.Network.Ports) > 0 {
		warnings = append(warnings, "published ports are of no use with --network none")
	}
	return warnings, nil
}
