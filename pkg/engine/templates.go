package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/template"
)

// Template describes a machine template as `system template ls` shows it.
type Template struct {
	Key         string
	Made, Used  time.Time
	Board       string
	Accel       string
	MemoryBytes int64
	CPUs        int
	Network     string   // "user" or "none", as --network
	ReadOnly    bool     // for containers without a writable disk
	Kernel      string   // path it was booted from
	KernelArgs  []string // after those the board needs; never nil
	QEMU        string   // program
	Dir         string   // where its files are
	DiskBytes   int64    // that they take
}

// TemplateRequest says which machines a template is prepared for.
type TemplateRequest struct {
	Machine  container.Machine // zero fields mean the defaults
	Network  container.NetworkMode
	ReadOnly bool
}

// BuildTemplate prepares the template from which containers start that ask for
// such a machine, unless it is there, and returns its key.
func (e *Engine) BuildTemplate(ctx context.Context, r TemplateRequest) (string, error) {
	spec := container.Spec{
		ID: strings.Repeat("0", idDigits), Name: "template", Hostname: "template",
		Machine:    r.Machine,
		Network:    container.Network{Mode: r.Network},
		Rootfs:     container.Rootfs{Mode: container.RootfsDisk, ReadOnly: r.ReadOnly},
		Process:    container.Process{Command: []string{"/"}, WorkDir: "/"},
		StopSignal: "SIGTERM",
	}
	if err := resolveMachine(&spec); err != nil {
		return "", err
	}
	cfg, err := config.Load()
	if err != nil {
		return "", err
	}
	if spec.Network, err = resolveNetwork(spec.Network, cfg.DNSServers, cfg.DNSSearches, cfg.DNSOptions); err != nil {
		return "", err
	}
	host := hostFacts{Files: e.dirs.Container(spec.ID), HostCPUs: runtime.NumCPU(), BootTimeout: config.BootTimeout}
	if err := e.machineFacts(ctx, spec, &host); err != nil {
		return "", err
	}
	if host.Network, err = networkPlan(spec, cfg.BaseHostsFile); err != nil {
		return "", err
	}
	l, err := plan(spec, host)
	if err != nil {
		return "", err
	}
	if why := template.Refusal(l.Machine); why != "" {
		return "", errors.New(why)
	}
	l.Machine.MemoryProtected = e.canProtectMemory()
	t, err := e.ensureTemplate(ctx, spec.Machine, host, l.Machine)
	if err != nil {
		return "", fmt.Errorf("prepare the machine template: %w", err)
	}
	return t.Key, nil
}

// Templates lists the machine templates, the one used last first.
func (e *Engine) Templates(context.Context) ([]Template, error) {
	store, err := e.templates()
	if err != nil {
		return nil, err
	}
	return listTemplates(store)
}

func listTemplates(store *template.Store) ([]Template, error) {
	found, err := store.List()
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b template.Template) int { return b.Used.Compare(a.Used) })
	var out []Template
	for _, t := range found {
		size, err := t.DiskBytes()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, describeTemplate(t, size))
	}
	return out, nil
}

// describeTemplate puts a template into the door's words.
func describeTemplate(t template.Template, diskBytes int64) Template {
	m := t.Info.Machine
	d := Template{
		Key: t.Key, Made: t.Info.Made, Used: t.Used,
		Board: string(m.Board), Accel: string(m.Accel), MemoryBytes: m.MemoryBytes, CPUs: m.CPUs,
		Network: string(container.NetworkNone), ReadOnly: len(m.Shares) == 0,
		Kernel: m.Kernel, KernelArgs: append([]string{}, m.KernelArgs...), QEMU: t.Info.QEMU,
		Dir: t.Dir, DiskBytes: diskBytes,
	}
	if m.NIC != nil {
		d.Network = string(container.NetworkUser)
	}
	for _, disk := range m.Disks {
		d.ReadOnly = d.ReadOnly && disk.ReadOnly
	}
	return d
}

// RemoveTemplates removes machine templates by their keys or unique beginnings of
// keys. Machines that were started from them run on.
func (e *Engine) RemoveTemplates(ctx context.Context, keys []string, all bool) []Result {
	store, err := e.templates()
	if err != nil {
		return []Result{{Err: err}}
	}
	found, err := store.List()
	if err != nil {
		return []Result{{Err: err}}
	}
	var results []Result
	if all {
		for _, t := range found {
			err := store.Remove(ctx, t.Key)
			if errors.Is(err, template.ErrNone) {
				continue // another command was faster
			}
			results = append(results, Result{ID: t.Key, Err: err})
		}
		return results
	}
	for _, input := range keys {
		key, err := matchKey(found, input)
		if err == nil {
			err = store.Remove(ctx, key)
		}
		results = append(results, Result{Input: input, ID: key, Err: err})
	}
	return results
}

// matchKey returns the one key that begins as input.
func matchKey(all []template.Template, input string) (string, error) {
	var matches []string
	for _, t := range all {
		if input != "" && strings.HasPrefix(t.Key, input) {
			matches = append(matches, t.Key)
		}
	}
	switch len(matches) {
	case 0:
		return "", fmt.Errorf("template %q: %w", input, template.ErrNone)
	case 1:
		return matches[0], nil
	}
	return "", fmt.Errorf("template %q is not unique: it may be %s", input, strings.Join(matches, " or "))
}

// PruneTemplates removes all machine templates, and what killed commands have left
// of others. It returns those it removed.
func (e *Engine) PruneTemplates(ctx context.Context) ([]Template, error) {
	store, err := e.templates()
	if err != nil {
		return nil, err
	}
	found, err := listTemplates(store)
	if err != nil {
		return nil, err
	}
	var removed []Template
	var errs []error
	for _, t := range found {
		err := store.Remove(ctx, t.Key)
		if errors.Is(err, template.ErrNone) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, t)
	}
	return removed, errors.Join(append(errs, store.Sweep())...)
}

// CompleteTemplates returns the keys of machine templates, for shells. It never fails.
func (e *Engine) CompleteTemplates(ctx context.Context) []string {
	all, err := e.Templates(ctx)
	if err != nil {
		return nil
	}
	var keys []string
	for _, t := range all {
		keys = append(keys, t.Key)
	}
	return keys
}
