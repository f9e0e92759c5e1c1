package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/qemu"
	"vpod/pkg/rootfs"
	"vpod/pkg/sidecar"
	"vpod/pkg/template"
)

// TemplateChoice says whether a container's machine starts from a template.
type TemplateChoice string

// The choices (--template). Auto uses a template wherever there can be one, and
// boots where not; always fails then.
const (
	TemplateAuto   TemplateChoice = "auto"
	TemplateNever  TemplateChoice = "never"
	TemplateAlways TemplateChoice = "always"
)

// templates returns the user's store of machine templates.
func (e *Engine) templates() (*template.Store, error) {
	boot, err := qemu.BootID()
	if err != nil {
		return nil, err
	}
	return template.NewStore(filepath.Join(userCache(), "templates"), boot, e.opts.Log), nil
}

// chooseTemplate adds to a start's orders the template to start from, making it
// when nobody has yet.
func (e *Engine) chooseTemplate(ctx context.Context, spec container.Spec, host hostFacts, orders *monitor.Launch) error {
	choice := TemplateChoice(spec.Machine.Template)
	if choice == TemplateNever {
		return nil
	}
	if why := template.Refusal(orders.Machine); why != "" {
		if choice == TemplateAlways {
			return fmt.Errorf("container %s cannot start from a template, as --template always asks: %s", spec.Name, why)
		}
		return nil
	}
	orders.Machine.MemoryProtected = e.canProtectMemory()
	t, err := e.ensureTemplate(ctx, spec.Machine, host, orders.Machine)
	switch {
	case err == nil:
		orders.Template = &monitor.Template{Key: t.Key, RAM: t.RAM, State: t.State, Hello: t.Info.Hello}
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case choice == TemplateAlways:
		return fmt.Errorf("container %s cannot start from a template, as --template always asks: %w", spec.Name, err)
	}
	e.opts.Notice(fmt.Sprintf("no machine template could be made, machines boot instead: %v", err))
	return nil
}

// canProtectMemory reports whether a template's memory can be kept from its copies,
// which then may give memory back to the host.
func (e *Engine) canProtectMemory() bool {
	cache, err := loadHostCache()
	if err != nil {
		return false
	}
	if cache.Protects == nil {
		err := sidecar.CanProtect()
		if err != nil {
			e.opts.Log.Warn("machines started from templates do not give memory back", "error", err)
		}
		can := err == nil
		cache.Protects = &can
		if err := cache.save(); err != nil {
			e.opts.Log.Warn("keep what the host can do", "error", err)
		}
	}
	return *cache.Protects
}

// ensureTemplate returns the template for starting m, and makes it first when it is
// not there. Commands that want the same one at once make it once.
func (e *Engine) ensureTemplate(ctx context.Context, asked container.Machine, host hostFacts, m qemu.Machine) (template.Template, error) {
	store, err := e.templates()
	if err != nil {
		return template.Template{}, err
	}
	key, err := template.Key(m, host.QEMU)
	if err != nil {
		return template.Template{}, err
	}
	t, err := store.Find(key)
	if !errors.Is(err, template.ErrNone) {
		return t, err
	}
	lock, err := store.Lock(ctx, key, func() { e.opts.Notice("waiting for another vpod to prepare the machine template") })
	if err != nil {
		return t, err
	}
	defer lock.Close()
	t, err = store.Find(key)
	if !errors.Is(err, template.ErrNone) {
		return t, err
	}
	draft, err := store.New(key)
	if err != nil {
		return t, err
	}
	defer draft.Discard()
	if err := rootfs.TemplateSpace(draft.Dir); err != nil {
		return t, err
	}
	e.opts.Notice("preparing the machine template, once")
	defer e.opts.Timing.Mark("make the machine template")
	if t, err = e.makeTemplate(ctx, asked, host, m, draft); err != nil && ctx.Err() == nil {
		err = rootfs.ExplainFull(err, draft.Dir)
	}
	return t, err
}

// makeTemplate boots, warms and saves the machine that m can be started from.
func (e *Engine) makeTemplate(ctx context.Context, asked container.Machine, host hostFacts, m qemu.Machine, draft *template.Draft) (t template.Template, err error) {
	placeholder := func(d qemu.Disk) string { return filepath.Join(draft.Dir, d.ID+".img") }
	share := filepath.Join(draft.Dir, "share")
	source := template.Source(m, draft.RAM, placeholder, share)
	paths := map[string]string{}
	for _, d := range source.Disks {
		paths[d.ID] = d.Path
		defer os.Remove(d.Path)
	}
	program := map[string][]byte{warmCommand: template.WarmProgram()}
	if len(source.Shares) > 0 {
		if err := makeWarmShare(share, program); err != nil {
			return t, err
		}
		defer os.RemoveAll(share)
	}
	if err := rootfs.NewPlaceholders(ctx, paths[rootDisk], paths[scratchDisk], program, template.PlaceholderBytes); err != nil {
		return t, err
	}
	mode := container.RootfsDisk
	if len(source.Shares) > 0 {
		mode, host.ShareDir = container.Rootfs9p, share
	}
	warm, err := warmContainer(asked, host, mode, mode == container.RootfsDisk && paths[scratchDisk] == "")
	if err != nil {
		return t, err
	}
	// Not on the disk: a host that is busy writing holds up whoever writes to mapped
	// files, and would make the machine miss its deadline.
	ram, err := template.NewRAM()
	if err != nil {
		return t, err
	}
	defer ram.Close()
	hello, err := monitor.MakeTemplate(ctx, monitor.TemplateOrders{
		QEMU: host.QEMU, Machine: source, RAM: ram, State: draft.State, Warm: warm, BootTimeout: config.BootTimeout,
	}, e.opts.Log)
	if err != nil {
		return t, err
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return t, fmt.Errorf("remove the template's disks: %w", err)
		}
	}
	for i := range source.Disks {
		source.Disks[i].Path = "" // it was a placeholder
	}
	for i := range source.Shares {
		source.Shares[i].Path = ""
	}
	if err := os.RemoveAll(share); err != nil {
		return t, fmt.Errorf("remove the template's share: %w", err)
	}
	return draft.Publish(template.Info{Made: time.Now(), Machine: source, QEMU: host.QEMU, Hello: hello}, ram)
}

// makeWarmShare makes the directory a template's shares show.
func makeWarmShare(dir string, files map[string][]byte) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make the template's share: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			return fmt.Errorf("make the template's share: %w", err)
		}
	}
	return nil
}

// warmCommand is the only file on a template's root disk.
const warmCommand = "/warm"

// warmContainer is the container run in a template before it is saved: an ordinary
// one in all that costs time, and nobody's.
func warmContainer(asked container.Machine, host hostFacts, mode container.RootfsMode, readOnly bool) (monitor.LaunchContainer, error) {
	cfg, err := config.Load()
	if err != nil {
		return monitor.LaunchContainer{}, err
	}
	spec := container.Spec{
		ID: strings.Repeat("0", 64), Name: "warm", Hostname: "warm",
		Machine:    asked,
		Process:    container.Process{Command: []string{warmCommand}, WorkDir: "/", Capabilities: cfg.Capabilities, Umask: cfg.Umask},
		Rootfs:     container.Rootfs{Mode: mode, ReadOnly: readOnly, ShmBytes: cfg.ShmBytes},
		StopSignal: "SIGTERM",
		AutoRemove: true,
	}
	if host.Seccomp, err = seccompFilter(spec); err != nil {
		return monitor.LaunchContainer{}, err
	}
	host.TimeZone, host.Network = nil, networkFacts{}
	l, err := plan(spec, host)
	if err != nil {
		return monitor.LaunchContainer{}, err
	}
	return l.Containers[0], nil
}
