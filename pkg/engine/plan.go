package engine

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containers/common/pkg/signal"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentproto"
	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/qemu"
)

// hostFacts are what a plan depends on besides the Spec, all found out before.
type hostFacts struct {
	Files       paths.Container
	QEMU        string
	Accel       qemu.Accel
	HostCPUs    int
	Kernel      string   // vmlinux to boot
	Initramfs   string   //
	KernelArgs  []string // that this host's machines need
	ImageDisk   string   // EROFS file; disk mode
	ShareDir    string   // mounted tree; share modes
	Virtiofsd   string   // path; mode virtiofs
	Seccomp     []byte   // compiled filter of the first process
	Network     networkFacts
	TimeZone    []byte // zone file for /etc/localtime; nil leaves the image's
	BootTimeout time.Duration
	Release     []string
}

// networkFacts are the network workshop's plan in the monitor's words.
type networkFacts struct {
	Monitor monitor.Network
	NIC     *qemu.NIC        // nil: no network device
	Guest   []agentproto.NIC // addresses and routes
	Files   []agentproto.File
}

// virtiofsCache is right for a tree that nobody else changes meanwhile.
const virtiofsCache = "always"

// Serial numbers by which the agent finds its disks, and the tag of a share.
const (
	rootDisk    = "root"
	scratchDisk = "scratch"
	rootShare   = "root"
)

// plan turns a spec and the facts of the host into the monitor's orders. It is
// pure.
func plan(spec container.Spec, host hostFacts) (*monitor.Launch, error) {
	stop, err := signal.ParseSignalNameOrNumber(spec.StopSignal)
	if err != nil {
		return nil, fmt.Errorf("stop signal of %s: %w", spec.Name, err)
	}
	process, err := planProcess(spec, spec.Process.Args(), host.Seccomp)
	if err != nil {
		return nil, err
	}
	l := &monitor.Launch{
		Version:        monitor.LaunchVersion,
		DataDir:        host.Files.Data,
		RunDir:         host.Files.Run,
		QEMU:           host.QEMU,
		Machine:        planMachine(spec, host),
		Guest:          agentproto.Machine{Hostname: spec.Hostname, NICs: host.Network.Guest},
		Network:        host.Network.Monitor,
		BootTimeout:    host.BootTimeout,
		ReleaseCommand: host.Release,
		ReleaseAlways:  spec.Rootfs.Mode != container.RootfsDisk, // its tree is mounted
	}
	if spec.Rootfs.Mode == container.RootfsVirtiofs {
		l.Virtiofsd = []monitor.Virtiofsd{{Tag: rootShare, Path: host.Virtiofsd, Dir: host.ShareDir, Cache: virtiofsCache}}
	}
	l.Containers = []monitor.LaunchContainer{{
		ID:          spec.ID,
		Name:        spec.Name,
		Guest:       planContainer(spec, host),
		Process:     process,
		Log:         spec.Log,
		Restart:     spec.Restart,
		StopSignal:  int(stop),
		StopTimeout: time.Duration(spec.StopTimeoutSeconds) * time.Second,
		Timeout:     time.Duration(spec.TimeoutSeconds) * time.Second,
		AutoRemove:  spec.AutoRemove,
	}}
	return l, nil
}

// hotplugPorts are kept free on a q35 board (docs/design/machine.md).
const hotplugPorts = 4

// guestKernelArgs are what every guest's kernel is told: no dummy0 until somebody
// asks for one; and, in its first process's environment, that Go's scheduler need not
// interrupt the agent by signals, whose handling an emulated guest would have to
// translate at every start.
var guestKernelArgs = []string{"dummy.numdummies=0", "GODEBUG=asyncpreemptoff=1"}

// planMachine describes the virtual machine.
func planMachine(spec container.Spec, host hostFacts) qemu.Machine {
	m := qemu.Machine{
		Name:        "vpod-" + spec.Name,
		Board:       qemu.Board(spec.Machine.Board),
		Accel:       host.Accel,
		MemoryBytes: spec.Machine.MemoryBytes,
		CPUs:        vcpus(spec.Machine.CPUs, host.Accel, host.HostCPUs),
		Kernel:      host.Kernel,
		Initrd:      host.Initramfs,
		KernelArgs:  slices.Concat(host.KernelArgs, guestKernelArgs, spec.Machine.KernelArgs),
		NIC:         host.Network.NIC,
	}
	if m.Board == qemu.BoardQ35 {
		m.HotplugPorts = hotplugPorts
	}
	switch spec.Rootfs.Mode {
	case container.RootfsDisk:
		m.Disks = append(m.Disks, qemu.Disk{ID: rootDisk, Path: host.ImageDisk, ReadOnly: true, Serial: rootDisk})
		if spec.HasScratch() {
			cache := qemu.CacheWriteback
			if spec.AutoRemove {
				cache = qemu.CacheUnsafe // it is removed at its end, and after a crash of the host too
			}
			m.Disks = append(m.Disks, qemu.Disk{ID: scratchDisk, Path: host.Files.Scratch(), Cache: cache, Serial: scratchDisk})
		}
	case container.RootfsVirtiofs:
		m.Shares = []qemu.Share{{Tag: rootShare, Kind: qemu.ShareVirtioFS}} // the monitor adds the socket
	case container.Rootfs9p:
		m.Shares = []qemu.Share{{Tag: rootShare, Kind: qemu.Share9P, Path: host.ShareDir}} // mount points must be made, also below --read-only
	}
	return m
}

// planContainer describes the container inside the machine.
func planContainer(spec container.Spec, host hostFacts) agentproto.Container {
	c := agentproto.Container{
		Rootfs: agentproto.Rootfs{ReadOnly: spec.Rootfs.ReadOnly, Volatile: spec.AutoRemove},
		OCI: specs.Spec{
			Version:     specs.Version,
			Hostname:    spec.Hostname,
			Annotations: spec.Annotations,
			Mounts:      planMounts(spec),
			Linux: &specs.Linux{
				Sysctl:    spec.Sysctls,
				Resources: planResources(spec),
				Namespaces: []specs.LinuxNamespace{
					{Type: specs.PIDNamespace}, {Type: specs.MountNamespace}, {Type: specs.UTSNamespace},
					{Type: specs.IPCNamespace}, {Type: specs.CgroupNamespace},
				},
			},
		},
		Files: host.Network.Files,
	}
	c.Volumes = planVolumes(spec, c.OCI.Mounts)
	if !spec.Privileged {
		c.OCI.Linux.MaskedPaths, c.OCI.Linux.ReadonlyPaths = planMasks(spec.Process.Mask, spec.Process.Unmask)
	}
	switch spec.Rootfs.Mode {
	case container.RootfsDisk:
		c.Rootfs.LowerDisk = rootDisk
		if spec.HasScratch() {
			c.Rootfs.ScratchDisk = scratchDisk
		}
	default:
		c.Rootfs.Share, c.Rootfs.ShareKind = rootShare, string(spec.Rootfs.Mode)
	}
	if host.TimeZone != nil {
		c.Files = append(slices.Clone(c.Files), agentproto.File{Path: "/etc/localtime", Mode: 0o644, Data: host.TimeZone})
	}
	return c
}

// planMounts lists the mounts of a container: those runtime-spec asks of every
// Linux container, as Podman makes them, and the user's tmpfs mounts.
func planMounts(spec container.Spec) []specs.Mount {
	access := "ro"
	if spec.Privileged {
		access = "rw"
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + strconv.FormatInt(spec.Rootfs.ShmBytes, 10)}},
		{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}},
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", access}},
	}
	tmpfs := slices.Clone(spec.Rootfs.Tmpfs)
	if spec.Rootfs.ReadOnly {
		// What programs expect to be able to write to (podman-run(1), --read-only-tmpfs).
		for _, dir := range []string{"/run", "/tmp", "/var/tmp"} {
			if !slices.ContainsFunc(tmpfs, func(t container.Tmpfs) bool { return path.Clean(t.Path) == dir }) {
				tmpfs = append(tmpfs, container.Tmpfs{Path: dir, Options: []string{"mode=1777"}})
			}
		}
	}
	for _, t := range tmpfs {
		options := append([]string{"nosuid", "nodev", "rprivate", "tmpcopyup"}, t.Options...)
		mounts = append(mounts, specs.Mount{Destination: t.Path, Type: "tmpfs", Source: "tmpfs", Options: options})
	}
	return mounts
}

// planVolumes returns the directories to be made for the volumes the image
// declares, but for those something is mounted on.
func planVolumes(spec container.Spec, mounts []specs.Mount) []string {
	var volumes []string
	for _, v := range spec.Image.Volumes {
		v = path.Clean("/" + v)
		if !slices.ContainsFunc(mounts, func(m specs.Mount) bool { return path.Clean(m.Destination) == v }) {
			volumes = append(volumes, v)
		}
	}
	return volumes
}

// planMasks returns the masked and the read-only paths: Podman's defaults, with
// the user's added and taken away.
func planMasks(mask, unmask []string) (masked, readonly []string) {
	keep := func(p string) bool {
		return !slices.ContainsFunc(unmask, func(pattern string) bool {
			if strings.EqualFold(pattern, "ALL") {
				return true
			}
			ok, _ := path.Match(pattern, p)
			return ok || path.Clean(pattern) == p
		})
	}
	for _, p := range config.MaskedPaths() {
		if keep(p) {
			masked = append(masked, p)
		}
	}
	masked = append(masked, mask...)
	for _, p := range config.ReadOnlyPaths() {
		if keep(p) {
			readonly = append(readonly, p)
		}
	}
	return masked, readonly
}

// cpuPeriodMicros is the period of the CPU quota (Linux's default).
const cpuPeriodMicros = 100_000

// planResources bounds the container inside its machine.
func planResources(spec container.Spec) *specs.LinuxResources {
	r := &specs.LinuxResources{}
	if spec.Privileged { // every device of the machine; the agent makes their nodes
		r.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
	}
	if spec.Limits.Pids > 0 {
		r.Pids = &specs.LinuxPids{Limit: &spec.Limits.Pids}
	}
	if whole := math.Ceil(spec.Machine.CPUs); whole != spec.Machine.CPUs {
		quota, period := int64(spec.Machine.CPUs*cpuPeriodMicros), uint64(cpuPeriodMicros)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	return r
}

// planProcess describes a process of the container with the given arguments.
func planProcess(spec container.Spec, args []string, filter []byte) (agentproto.Process, error) {
	p := spec.Process
	out := agentproto.Process{
		OCI: specs.Process{
			Terminal:        p.Terminal,
			Args:            args,
			Env:             p.Env,
			Cwd:             p.WorkDir,
			NoNewPrivileges: p.NoNewPrivileges,
			Capabilities: &specs.LinuxCapabilities{
				Bounding: p.Capabilities, Effective: p.Capabilities, Permitted: p.Capabilities,
			},
		},
		User:    p.User,
		Groups:  p.Groups,
		Stdin:   p.Interactive,
		Init:    spec.Init,
		Seccomp: filter,
	}
	// Capabilities asked for by name also reach a process that is not root (podman-run(1), --cap-add).
	if p.User != "" && p.User != "root" && p.User != "0" && !spec.Privileged {
		for _, c := range p.CapAdd {
			if slices.Contains(p.Capabilities, c) {
				out.OCI.Capabilities.Ambient = append(out.OCI.Capabilities.Ambient, c)
				out.OCI.Capabilities.Inheritable = append(out.OCI.Capabilities.Inheritable, c)
			}
		}
	}
	if p.Umask != "" {
		n, err := strconv.ParseUint(p.Umask, 8, 32)
		if err != nil || n > 0o777 {
			return out, fmt.Errorf("umask %q: give up to four octal digits", p.Umask)
		}
		umask := uint32(n)
		out.OCI.User.Umask = &umask
	}
	for _, u := range spec.Limits.Ulimits {
		out.OCI.Rlimits = append(out.OCI.Rlimits, specs.POSIXRlimit{
			Type: "RLIMIT_" + strings.ToUpper(u.Name), Soft: uint64(u.Soft), Hard: uint64(u.Hard),
		})
	}
	return out, nil
}
