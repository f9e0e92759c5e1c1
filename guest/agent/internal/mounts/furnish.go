package mounts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
	"vpod/pkg/agentproto"
)

// Plan is what is asked of a root.
type Plan struct {
	OCI       *specs.Spec
	Binds     []agentproto.Bind // already there, in the root's own file system
	Files     []agentproto.File
	FilesDir  string // where Files are written, in the agent's root; made when needed
	Sockets   []Bound
	CgroupDir string // the container's control group, in the agent's root
	ProcFD    int    // the machine's /proc
	ReadOnly  bool   // the root
}

// Bound is a file of the agent's root that is to be seen in the container, too.
type Bound struct {
	Source string // in the agent's root
	Path   string // absolute, in the container
}

// Furniture is a Plan whose sources have been taken hold of.
type Furniture struct {
	binds      []bind
	jobs       []job
	devices    []node
	keepDev    bool // /dev is somebody else's: nothing is made in it
	masked     []string
	readonly   []string
	sysctls    []sysctl
	proc       int // the machine's /proc
	readOnly   bool
	rootSpread uintptr // MS_SHARED and so on; 0 is private
}

// maxFiles bounds Plan.Files.
const maxFiles = 256

// Prepare checks the plan and takes hold of its sources. It runs in the agent's
// root, on a thread that already has the mount namespace the container will
// have. Close must be called on what it returns, also after Furnish.
func Prepare(ctx context.Context, p Plan) (_ *Furniture, err error) {
	f := &Furniture{readOnly: p.ReadOnly, proc: p.ProcFD}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if f.binds, err = parseBinds(p.Binds); err != nil {
		return nil, err
	}
	for _, m := range p.OCI.Mounts {
		j, err := prepare(ctx, m, p.CgroupDir)
		if err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		f.jobs = append(f.jobs, j)
		if path.Clean(m.Destination) == "/dev" && j.bind {
			f.keepDev = true
		}
	}
	if err := f.prepareFiles(p); err != nil {
		return nil, err
	}
	for _, b := range p.Sockets {
		if err := f.bind(b, nil); err != nil {
			return nil, fmt.Errorf("provide %s: %w", b.Path, err)
		}
	}
	return f, f.prepareLinux(p.OCI.Linux)
}

// prepareFiles writes the provided files.
func (f *Furniture) prepareFiles(p Plan) error {
	if len(p.Files) > maxFiles {
		return fmt.Errorf("%d files to provide, at most %d", len(p.Files), maxFiles)
	}
	for i, file := range p.Files {
		if err := os.MkdirAll(p.FilesDir, 0o700); err != nil {
			return fmt.Errorf("provide files: %w", err)
		}
		source := filepath.Join(p.FilesDir, strconv.Itoa(i))
		if err := os.WriteFile(source, file.Data, 0o600); err != nil {
			return fmt.Errorf("provide %s: %w", file.Path, err)
		}
		if err := os.Chmod(source, os.FileMode(file.Mode&0o777)); err != nil {
			return fmt.Errorf("provide %s: %w", file.Path, err)
		}
		if err := f.bind(Bound{Source: source, Path: file.Path}, file.Options); err != nil {
			return fmt.Errorf("provide %s: %w", file.Path, err)
		}
	}
	return nil
}

// bind has a file of the agent's bound in the container.
func (f *Furniture) bind(b Bound, options []string) error {
	if !path.IsAbs(b.Path) || strings.ContainsRune(b.Path, 0) {
		return fmt.Errorf("path %q is not absolute", b.Path)
	}
	o, err := parseOptions(options)
	if err != nil {
		return err
	}
	tree, err := openTree(b.Source, false)
	if err != nil {
		return err
	}
	j := job{Mount: specs.Mount{Destination: b.Path}, options: o, tree: tree}
	j.bind = true
	f.jobs = append(f.jobs, j)
	return nil
}

func (f *Furniture) prepareLinux(l *specs.Linux) error {
	if l == nil {
		return nil
	}
	if l.RootfsPropagation != "" {
		p, ok := find(propagations, l.RootfsPropagation)
		if !ok {
			return fmt.Errorf("unknown propagation %q of the root", l.RootfsPropagation)
		}
		f.rootSpread = p.bits
	}
	for _, d := range l.Devices {
		n, err := parseDevice(d)
		if err != nil {
			return err
		}
		f.devices = append(f.devices, n)
	}
	if l.Resources != nil && Privileged(l.Resources.Devices) {
		all, err := machineDevices("/dev")
		if err != nil {
			return fmt.Errorf("list the machine's devices: %w", err)
		}
		f.devices = append(f.devices, all...)
	}
	if err := errors.Join(checkPaths("masked", l.MaskedPaths), checkPaths("read-only", l.ReadonlyPaths)); err != nil {
		return err
	}
	f.masked, f.readonly = l.MaskedPaths, l.ReadonlyPaths
	for _, key := range slices.Sorted(maps.Keys(l.Sysctl)) {
		file, err := sysctlFile(key)
		if err != nil {
			return err
		}
		f.sysctls = append(f.sysctls, sysctl{key, file, l.Sysctl[key]})
	}
	return nil
}

// Enter makes newRoot, a mount point, the root of the calling thread's mount
// namespace and lets go of the old one.
func Enter(newRoot string) error {
	if err := unix.Chdir(newRoot); err != nil {
		return fmt.Errorf("enter root: %w", err)
	}
	// Both in one place: the old root then lies on top of the new one.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the old root: %w", err)
	}
	return unix.Chdir("/")
}

// Furnish does it all in the root entered, but for what it returns: mounts for the
// first process to make, in order, because they lie on its own /proc. The
// descriptors in them live until Close. The thread's umask must be 0. terminal is
// called once /dev is there and may open the container's own devpts; it returns
// the path of the terminal to show as /dev/console, or "".
func (f *Furniture) Furnish(terminal func() (string, error)) ([]spawn.Mount, error) {
	for _, b := range f.binds { // before anything hides them
		if err := b.separate(); err != nil {
			return nil, fmt.Errorf("mount on %s: %w", b.path, err)
		}
	}
	d := deferred{proc: f.proc}
	for i := range f.jobs {
		j := &f.jobs[i]
		do := j.do
		if j.Type == "proc" || d.covers(j.Destination) {
			do = func() error { return d.add(j) }
		}
		if err := do(); err != nil {
			return nil, fmt.Errorf("mount on %s: %w", j.Destination, err)
		}
	}
	if err := f.furnishRest(terminal); err != nil {
		return nil, err
	}
	if err := f.restrict(&d); err != nil {
		return nil, err
	}
	if f.readOnly {
		if err := setAttr("/", unix.MOUNT_ATTR_RDONLY, 0, false); err != nil {
			return nil, err
		}
	}
	if f.rootSpread != 0 {
		d.mounts = append(d.mounts, spawn.Mount{Target: "/", Flags: f.rootSpread})
	}
	return d.mounts, nil
}

// furnishRest sees to /dev, the terminal and kernel parameters.
func (f *Furniture) furnishRest(terminal func() (string, error)) error {
	if err := f.makeDev(); err != nil {
		return err
	}
	console, err := terminal()
	if err != nil {
		return err
	}
	if console != "" && !f.keepDev {
		if err := bindConsole(console); err != nil {
			return err
		}
	}
	for _, s := range f.sysctls {
		if err := s.set(f.proc); err != nil {
			return err
		}
	}
	return nil
}

// restrict makes paths read-only and hides others, at once or, on /proc, later.
// What is not there needs neither.
func (f *Furniture) restrict(d *deferred) error {
	apply := func(p string, list ...spawn.Mount) error {
		if d.covers(p) {
			d.mounts = append(d.mounts, list...)
			return nil
		}
		for _, m := range list {
			if err := now(m); err != nil {
				return fmt.Errorf("restrict %s: %w", p, err)
			}
		}
		return nil
	}
	for _, p := range f.readonly {
		there, _, err := d.stat(p)
		if err != nil {
			return err
		}
		if pair := readonly(p); there {
			if err := apply(p, pair[:]...); err != nil {
				return err
			}
		}
	}
	// Those of /proc last, as they are mounted last: one empty directory then
	// serves all.
	var m masker
	for _, onProc := range []bool{false, true} {
		for _, p := range f.masked {
			if d.covers(p) != onProc {
				continue
			}
			there, isDir, err := d.stat(p)
			if err != nil {
				return err
			}
			if !there {
				continue
			}
			if err := apply(p, m.mask(p, isDir)); err != nil {
				return err
			}
		}
	}
	return nil
}

// now makes a mount on the calling thread.
func now(m spawn.Mount) error {
	if m.SetAttr|m.ClearAttr != 0 {
		return setAttr(m.Target, m.SetAttr, m.ClearAttr, true)
	}
	return unix.Mount(m.Source, m.Target, m.Type, m.Flags, m.Data)
}

func (f *Furniture) makeDev() error {
	if f.keepDev {
		return nil
	}
	for _, n := range defaultDevices {
		if err := n.make(); err != nil {
			return err
		}
	}
	for _, n := range f.devices {
		if err := n.make(); err != nil {
			return err
		}
	}
	return makeLinks()
}

// bindConsole lays the container's terminal over /dev/console.
func bindConsole(terminal string) error {
	target, err := makeTarget("/dev/console", false)
	if err != nil {
		return err
	}
	if err := unix.Mount(terminal, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to /dev/console: %w", terminal, err)
	}
	return nil
}

// Close lets go of sources that were not used.
func (f *Furniture) Close() {
	for i := range f.jobs {
		f.jobs[i].close()
	}
}
