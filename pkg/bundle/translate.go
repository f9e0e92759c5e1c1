package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentproto"
)

// Annotations by which a configuration sizes its machine; sizes are in bytes.
const (
	AnnotationMemory = "io.vpod.memory"
	AnnotationCPUs   = "io.vpod.cpus"
)

// Network is what a configuration asks of the network.
type Network struct {
	Host bool   // no network namespace: the machine gets vpod's user-mode network
	Path string // of a namespace to join; "" with Host false is a new, empty one
}

// Bind is a mount of the host to be laid over the root.
type Bind struct {
	Source      string
	Destination string // absolute, in the container
	Recursive   bool
	ReadOnly    bool
	Options     []string // attributes of the mount, in runtime-spec's words; the guest's to apply
	Overlay     string   // in place of Source: an overlay file system of directories of the host, with these options
}

// Share is a directory of the host that cannot be laid over the root, because
// the guest mounts a file system of its own above it.
type Share struct {
	Tag    string
	Source string
}

// Copy is a file of the host in the same place as a Share; the guest gets its content.
type Copy struct{ Source, Destination string }

// Plan is a configuration, taken apart.
type Plan struct {
	Guest   agentproto.Container
	Process agentproto.Process // Seccomp is empty, see Profile
	Profile []byte             // seccomp profile in JSON; nil is unconfined
	Caps    []string           // that a profile's conditions may ask for

	Network Network
	Binds   []Bind // in order
	Hidden  []Bind // binds below a mount of the guest; see Divide
	Hooks   *specs.Hooks

	MemoryBytes int64 // of the machine; 0 leaves the default
	CPUs        float64

	Dropped []string // what has no meaning in a machine and was left out, for the log
}

// rootShare is the tag of the composed root.
const rootShare = "root"

// Translate turns a configuration into what the guest is told and what the host does.
// What cannot be given is an error. docs/design/oci-runtime.md has every field.
func Translate(c *specs.Spec) (*Plan, error) {
	p := &Plan{Hooks: c.Hooks, Network: Network{Host: true}}
	oci := *c
	oci.Process, oci.Root, oci.Hooks, oci.Mounts = nil, nil, nil, nil
	linux := specs.Linux{}
	if c.Linux != nil {
		linux = *c.Linux
	}
	if c.Hooks != nil && len(c.Hooks.StartContainer) > 0 {
		return nil, errors.New("startContainer hooks: they would run inside the machine, where the host's programs are not")
	}
	if err := p.namespaces(&linux); err != nil {
		return nil, err
	}
	if err := p.linux(&linux); err != nil {
		return nil, err
	}
	oci.Linux = &linux
	if err := p.size(c); err != nil {
		return nil, err
	}
	var err error
	if p.Process, err = p.process(c.Process); err != nil {
		return nil, err
	}
	if err := p.mounts(c, &oci); err != nil {
		return nil, err
	}
	p.Guest = agentproto.Container{
		Rootfs: agentproto.Rootfs{Share: rootShare, ShareKind: "9p", Binds: p.separate(c.Root.Readonly), ReadOnly: c.Root.Readonly},
		OCI:    oci,
	}
	return p, nil
}

// TranslateProcess is Translate for one more process of a container.
func TranslateProcess(proc *specs.Process) (agentproto.Process, error) {
	return new(Plan).process(proc)
}

// process describes the process without its filter.
func (p *Plan) process(proc *specs.Process) (agentproto.Process, error) {
	out := *proc
	if proc.ApparmorProfile != "" {
		p.drop("AppArmor profile %q: the guest's kernel has no AppArmor", proc.ApparmorProfile)
	}
	if proc.SelinuxLabel != "" {
		p.drop("SELinux label %q: the guest's kernel has no SELinux", proc.SelinuxLabel)
	}
	out.ApparmorProfile, out.SelinuxLabel = "", ""
	if proc.Capabilities != nil {
		p.Caps = proc.Capabilities.Bounding
	}
	return agentproto.Process{OCI: out, Stdin: true}, nil
}

func (p *Plan) drop(format string, args ...any) {
	p.Dropped = append(p.Dropped, fmt.Sprintf(format, args...))
}

// namespaces sorts out which of them are the guest's and which the host's.
func (p *Plan) namespaces(l *specs.Linux) error {
	var guest []specs.LinuxNamespace
	have := map[specs.LinuxNamespaceType]bool{}
	for _, n := range l.Namespaces {
		if have[n.Type] {
			return fmt.Errorf("namespace %s is named twice", n.Type)
		}
		have[n.Type] = true
		switch {
		case n.Type == specs.NetworkNamespace:
			p.Network = Network{Path: n.Path}
		case n.Type == specs.UserNamespace:
			if n.Path != "" || !identity(l.UIDMappings) || !identity(l.GIDMappings) {
				return errors.New("user namespace: a machine shows the ids of its root file system as they are; leave out the mapping")
			}
		case n.Path != "":
			return fmt.Errorf("%s namespace %s: a container has its own kernel, so there is no namespace to join", n.Type, n.Path)
		case n.Type == specs.TimeNamespace:
			return errors.New("time namespace: a machine has its own clocks")
		default:
			guest = append(guest, n)
		}
	}
	for _, t := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace} {
		if !have[t] {
			return fmt.Errorf("no %s namespace: a container has its own kernel, so it cannot be in the host's", t)
		}
	}
	for _, t := range []specs.LinuxNamespaceType{specs.MountNamespace, specs.UTSNamespace, specs.CgroupNamespace} {
		if !have[t] {
			guest = append(guest, specs.LinuxNamespace{Type: t})
		}
	}
	l.Namespaces, l.UIDMappings, l.GIDMappings = guest, nil, nil
	return nil
}

// identity reports whether mappings leave every id as it is.
func identity(list []specs.LinuxIDMapping) bool {
	return !slices.ContainsFunc(list, func(m specs.LinuxIDMapping) bool { return m.ContainerID != m.HostID })
}

// linux takes out what is the host's or has no meaning.
func (p *Plan) linux(l *specs.Linux) error {
	if l.MountLabel != "" {
		p.drop("SELinux mount label %q: the guest's kernel has no SELinux", l.MountLabel)
		l.MountLabel = ""
	}
	if l.IntelRdt != nil {
		return errors.New("linux.intelRdt does not exist in a machine")
	}
	if l.Seccomp != nil {
		profile, err := json.Marshal(l.Seccomp)
		if err != nil {
			return fmt.Errorf("seccomp profile: %w", err)
		}
		p.Profile, l.Seccomp = profile, nil
	}
	l.CgroupsPath = ""
	if allDevices(l.Resources) {
		l.Devices = nil // the agent makes those the machine has
	}
	for _, d := range l.Devices {
		if !guestDevice(d) {
			return fmt.Errorf("device %s (%s %d:%d): a machine has no devices of the host", d.Path, d.Type, d.Major, d.Minor)
		}
	}
	return nil
}

// allDevices reports whether a container may use every device.
func allDevices(r *specs.LinuxResources) bool {
	return r != nil && slices.ContainsFunc(r.Devices, func(d specs.LinuxDeviceCgroup) bool {
		return d.Allow && (d.Type == "" || d.Type == "a") && d.Major == nil && d.Minor == nil
	})
}

// guestDevice reports whether a device means the same in every kernel: those of
// memory, terminals, FUSE and TUN (Linux, admin-guide/devices.txt).
func guestDevice(d specs.LinuxDevice) bool {
	const memory, terminals, misc, tun, fuse = 1, 5, 10, 200, 229
	return d.Type == "c" && (d.Major == memory || d.Major == terminals || d.Major == misc && (d.Minor == tun || d.Minor == fuse))
}

// headroom is what a machine gets beyond a memory limit of its container, in
// bytes: the kernel, the agent and their reserve (docs/design/machine.md).
const headroom = 128 << 20

// maxLimit is where a limit of memory is none, in bytes.
const maxLimit = 1 << 40

// size finds out how large the machine is to be. An annotation wins; a limit of
// memory makes the machine fit it.
func (p *Plan) size(c *specs.Spec) error {
	if text := c.Annotations[AnnotationMemory]; text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("annotation %s=%s: give a number of bytes", AnnotationMemory, text)
		}
		p.MemoryBytes = n
	} else if l := c.Linux; l != nil && l.Resources != nil && l.Resources.Memory != nil {
		if limit := l.Resources.Memory.Limit; limit != nil && *limit > 0 && *limit < maxLimit {
			p.MemoryBytes = *limit + headroom
		}
	}
	if text := c.Annotations[AnnotationCPUs]; text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || n <= 0 {
			return fmt.Errorf("annotation %s=%s: give a number of processors", AnnotationCPUs, text)
		}
		p.CPUs = n
	}
	return nil
}
