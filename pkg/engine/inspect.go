package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containers/common/pkg/signal"
	"github.com/docker/go-units"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/container"
	"vpod/pkg/paths"
)

// ContainerInspect is what `inspect` prints: the keys of podman-container-inspect(1)
// that mean something for a container in its own machine, and VM.
type ContainerInspect struct {
	ID              string            `json:"Id"`
	Created         time.Time         `json:"Created"`
	Path            string            `json:"Path"`
	Args            []string          `json:"Args"`
	State           InspectState      `json:"State"`
	Image           string            `json:"Image"`
	ImageDigest     string            `json:"ImageDigest"`
	ImageName       string            `json:"ImageName"`
	Rootfs          string            `json:"Rootfs"`
	Pod             string            `json:"Pod"`
	StaticDir       string            `json:"StaticDir"`
	OCIRuntime      string            `json:"OCIRuntime"`
	Name            string            `json:"Name"`
	RestartCount    int               `json:"RestartCount"`
	Driver          string            `json:"Driver"`
	MountLabel      string            `json:"MountLabel"`
	ProcessLabel    string            `json:"ProcessLabel"`
	AppArmorProfile string            `json:"AppArmorProfile"`
	EffectiveCaps   []string          `json:"EffectiveCaps"`
	BoundingCaps    []string          `json:"BoundingCaps"`
	SizeRw          *int64            `json:"SizeRw,omitempty"`
	SizeRootFs      *int64            `json:"SizeRootFs,omitempty"`
	Mounts          []InspectMount    `json:"Mounts"`
	NetworkSettings InspectNetwork    `json:"NetworkSettings"`
	Config          InspectConfig     `json:"Config"`
	HostConfig      InspectHostConfig `json:"HostConfig"`
	VM              InspectVM         `json:"VM"`
}

// InspectState is the container's condition.
type InspectState struct {
	OciVersion string    `json:"OciVersion"`
	Status     string    `json:"Status"`
	Running    bool      `json:"Running"`
	Paused     bool      `json:"Paused"`
	Restarting bool      `json:"Restarting"`
	OOMKilled  bool      `json:"OOMKilled"`
	Dead       bool      `json:"Dead"`
	Pid        int       `json:"Pid"`       // of QEMU: the process on the host that is this container
	ConmonPid  int       `json:"ConmonPid"` // of the monitor
	ExitCode   int       `json:"ExitCode"`
	Error      string    `json:"Error"`
	StartedAt  time.Time `json:"StartedAt"`
	FinishedAt time.Time `json:"FinishedAt"`
}

// InspectMount is one tmpfs mount.
type InspectMount struct {
	Type        string   `json:"Type"`
	Source      string   `json:"Source"`
	Destination string   `json:"Destination"`
	Driver      string   `json:"Driver"`
	Mode        string   `json:"Mode"`
	Options     []string `json:"Options"`
	RW          bool     `json:"RW"`
	Propagation string   `json:"Propagation"`
}

// InspectNetwork is the container's network. Addresses are those inside the
// guest; the host reaches published ports alone.
type InspectNetwork struct {
	Gateway     string                     `json:"Gateway"`
	IPAddress   string                     `json:"IPAddress"`
	IPPrefixLen int                        `json:"IPPrefixLen"`
	MacAddress  string                     `json:"MacAddress"`
	Ports       map[string][]InspectPort   `json:"Ports"`
	Networks    map[string]json.RawMessage `json:"Networks"`
}

// InspectPort is where a container's port is published.
type InspectPort struct {
	HostIP   string `json:"HostIp"`
	HostPort string `json:"HostPort"`
}

// InspectConfig is what runs and with what.
type InspectConfig struct {
	Hostname      string              `json:"Hostname"`
	Domainname    string              `json:"Domainname"`
	User          string              `json:"User"`
	AttachStdin   bool                `json:"AttachStdin"`
	AttachStdout  bool                `json:"AttachStdout"`
	AttachStderr  bool                `json:"AttachStderr"`
	Tty           bool                `json:"Tty"`
	OpenStdin     bool                `json:"OpenStdin"`
	StdinOnce     bool                `json:"StdinOnce"`
	Env           []string            `json:"Env"`
	Cmd           []string            `json:"Cmd"`
	Image         string              `json:"Image"`
	Volumes       map[string]struct{} `json:"Volumes"`
	WorkingDir    string              `json:"WorkingDir"`
	Entrypoint    string              `json:"Entrypoint"`
	ExposedPorts  map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels        map[string]string   `json:"Labels"`
	Annotations   map[string]string   `json:"Annotations"`
	StopSignal    int                 `json:"StopSignal"`
	Healthcheck   json.RawMessage     `json:"Healthcheck,omitempty"`
	CreateCommand []string            `json:"CreateCommand,omitempty"`
	Timezone      string              `json:"Timezone,omitempty"`
	Umask         string              `json:"Umask"`
	Timeout       uint                `json:"Timeout"`
	StopTimeout   uint                `json:"StopTimeout"`
}

// InspectHostConfig is what was asked of the host.
type InspectHostConfig struct {
	ContainerIDFile string                   `json:"ContainerIDFile"`
	LogConfig       InspectLogConfig         `json:"LogConfig"`
	NetworkMode     string                   `json:"NetworkMode"`
	PortBindings    map[string][]InspectPort `json:"PortBindings"`
	RestartPolicy   InspectRestartPolicy     `json:"RestartPolicy"`
	AutoRemove      bool                     `json:"AutoRemove"`
	CapAdd          []string                 `json:"CapAdd"`
	CapDrop         []string                 `json:"CapDrop"`
	DNS             []string                 `json:"Dns"`
	DNSOptions      []string                 `json:"DnsOptions"`
	DNSSearch       []string                 `json:"DnsSearch"`
	ExtraHosts      []string                 `json:"ExtraHosts"`
	GroupAdd        []string                 `json:"GroupAdd"`
	Init            bool                     `json:"Init,omitempty"`
	Privileged      bool                     `json:"Privileged"`
	PublishAllPorts bool                     `json:"PublishAllPorts"`
	ReadonlyRootfs  bool                     `json:"ReadonlyRootfs"`
	SecurityOpt     []string                 `json:"SecurityOpt"`
	Tmpfs           map[string]string        `json:"Tmpfs"`
	Sysctls         map[string]string        `json:"Sysctls,omitempty"`
	ShmSize         int64                    `json:"ShmSize"`
	Runtime         string                   `json:"Runtime"`
	Memory          int64                    `json:"Memory"`   // bytes, of the machine
	NanoCPUs        int64                    `json:"NanoCpus"` // 0 when not asked for
	PidsLimit       int64                    `json:"PidsLimit"`
	Ulimits         []InspectUlimit          `json:"Ulimits"`
	DiskQuota       int64                    `json:"DiskQuota"` // bytes, of the scratch disk
}

// InspectLogConfig says where the output is kept.
type InspectLogConfig struct {
	Type   string            `json:"Type"`
	Config map[string]string `json:"Config"`
	Path   string            `json:"Path"`
	Tag    string            `json:"Tag"`
	Size   string            `json:"Size"`
}

// InspectRestartPolicy is --restart.
type InspectRestartPolicy struct {
	Name              string `json:"Name"`
	MaximumRetryCount uint   `json:"MaximumRetryCount"`
}

// InspectUlimit is one --ulimit.
type InspectUlimit struct {
	Name string `json:"Name"`
	Soft int64  `json:"Soft"`
	Hard int64  `json:"Hard"`
}

// InspectVM is the virtual machine. Accel, Kernel and QEMUPid are empty while
// it does not run.
type InspectVM struct {
	Board       string   `json:"Board"`
	Accel       string   `json:"Accel"`
	AccelAsked  string   `json:"AccelAsked"`
	Kernel      string   `json:"Kernel"`     // release, as the guest says
	KernelPath  string   `json:"KernelPath"` // "" is vpod's own
	KernelArgs  []string `json:"KernelArgs"`
	CPUs        float64  `json:"CPUs"` // as asked; 0 is the default
	MemoryBytes int64    `json:"MemoryBytes"`
	QEMUPid     int      `json:"QEMUPid"`
	MonitorPid  int      `json:"MonitorPid"`
	RootfsMode  string   `json:"RootfsMode"`
	ImageDisk   string   `json:"ImageDisk"`
	ScratchDisk string   `json:"ScratchDisk"`
	Console     string   `json:"Console"`  // log of the guest's serial console
	Template    string   `json:"Template"` // "" is a cold boot
}

// Inspect returns everything known of a container.
func (e *Engine) Inspect(ctx context.Context, nameOrID string, size bool) (*ContainerInspect, error) {
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return nil, err
	}
	row := listed(c, live)
	if size {
		if row.Size, err = e.sizeOf(c); err != nil {
			return nil, err
		}
	}
	return inspect(row, e.dirs.Container(c.Spec.ID), e.imageDisk(c.Spec.Image.ID))
}

// inspect lays a row out for printing. It is pure.
func inspect(row Listed, files paths.Container, imageDisk string) (*ContainerInspect, error) {
	spec, record := row.Spec, row.Record
	stop, err := signal.ParseSignalNameOrNumber(spec.StopSignal)
	if err != nil {
		return nil, fmt.Errorf("stop signal of %s: %w", spec.Name, err)
	}
	args := spec.Process.Args()
	out := &ContainerInspect{
		ID: spec.ID, Created: spec.Created, Path: args[0], Args: args[1:],
		Image: spec.Image.ID, ImageDigest: spec.Image.Digest, ImageName: spec.Image.Name,
		StaticDir: files.Data, OCIRuntime: "vpod", Name: spec.Name,
		RestartCount:  max(record.RestartCount, row.Live.RestartCount),
		Driver:        string(spec.Rootfs.Mode),
		EffectiveCaps: spec.Process.Capabilities, BoundingCaps: spec.Process.Capabilities,
		State: InspectState{
			OciVersion: specs.Version, Status: row.ShownState(), Running: row.Running(),
			Restarting: row.Live.State == restarting, OOMKilled: record.OOMKilled,
			Pid: row.Live.QEMUPID, ConmonPid: row.Live.MonitorPID,
			ExitCode: record.ExitCode, Error: record.Error,
			StartedAt: record.StartedAt, FinishedAt: record.FinishedAt,
		},
		Mounts:          []InspectMount{},
		NetworkSettings: inspectNetwork(row),
		Config:          inspectConfig(spec, int(stop)),
		HostConfig:      inspectHostConfig(spec),
		VM: InspectVM{
			Board: spec.Machine.Board, Accel: row.Live.Accel, AccelAsked: spec.Machine.Accel,
			Kernel: row.Live.Kernel, KernelPath: spec.Machine.Kernel, KernelArgs: orEmpty(spec.Machine.KernelArgs),
			CPUs: spec.Machine.CPUs, MemoryBytes: spec.Machine.MemoryBytes,
			QEMUPid: row.Live.QEMUPID, MonitorPid: row.Live.MonitorPID,
			RootfsMode: string(spec.Rootfs.Mode), Console: files.Console(), Template: row.Live.Template,
		},
	}
	if spec.Rootfs.Mode == container.RootfsDisk {
		out.VM.ImageDisk = imageDisk
		if spec.HasScratch() {
			out.VM.ScratchDisk = files.Scratch()
		}
	}
	if row.Running() {
		out.State.StartedAt = row.Live.StartedAt
	}
	if row.Size != nil {
		out.SizeRw, out.SizeRootFs = &row.Size.Writable, &row.Size.Root
	}
	for _, t := range spec.Rootfs.Tmpfs {
		out.Mounts = append(out.Mounts, InspectMount{Type: "tmpfs", Destination: t.Path, Options: orEmpty(t.Options), RW: !slices.Contains(t.Options, "ro"), Propagation: "rprivate"})
	}
	return out, nil
}

// inspectConfig lays out what runs.
func inspectConfig(spec container.Spec, stop int) InspectConfig {
	p := spec.Process
	volumes := map[string]struct{}(nil)
	for _, v := range spec.Image.Volumes {
		if volumes == nil {
			volumes = map[string]struct{}{}
		}
		volumes[v] = struct{}{}
	}
	return InspectConfig{
		Hostname: spec.Hostname, User: p.User, Tty: p.Terminal, OpenStdin: p.Interactive,
		Env: p.Env, Cmd: orEmpty(p.Command), Image: spec.Image.Name, Volumes: volumes,
		WorkingDir: p.WorkDir, Entrypoint: strings.Join(p.Entrypoint, " "), ExposedPorts: spec.Image.ExposedPorts,
		Labels: spec.Labels, Annotations: spec.Annotations, StopSignal: stop, Healthcheck: spec.Image.Healthcheck,
		CreateCommand: spec.CreateCommand, Timezone: spec.TZ, Umask: p.Umask,
		Timeout: spec.TimeoutSeconds, StopTimeout: spec.StopTimeoutSeconds,
	}
}

// inspectHostConfig lays out what was asked of the host.
func inspectHostConfig(spec container.Spec) InspectHostConfig {
	n := spec.Network
	h := InspectHostConfig{
		ContainerIDFile: spec.CIDFile,
		LogConfig:       InspectLogConfig{Type: spec.Log.Driver, Path: spec.Log.Path, Tag: spec.Log.Tag, Size: units.HumanSize(float64(spec.Log.MaxSizeBytes))},
		NetworkMode:     string(n.Mode), PortBindings: portBindings(n.Ports),
		RestartPolicy: InspectRestartPolicy{Name: spec.Restart.Name, MaximumRetryCount: spec.Restart.MaxRetries},
		AutoRemove:    spec.AutoRemove, CapAdd: orEmpty(spec.Process.CapAdd), CapDrop: orEmpty(spec.Process.CapDrop),
		DNS: orEmpty(n.DNS), DNSOptions: orEmpty(n.DNSOptions), DNSSearch: orEmpty(n.DNSSearch), ExtraHosts: orEmpty(n.AddHosts),
		GroupAdd: orEmpty(spec.Process.Groups), Init: spec.Init, Privileged: spec.Privileged, ReadonlyRootfs: spec.Rootfs.ReadOnly,
		SecurityOpt: orEmpty(spec.Process.SecurityOpt), Tmpfs: map[string]string{}, Sysctls: spec.Sysctls,
		ShmSize: spec.Rootfs.ShmBytes, Runtime: "vpod", Memory: spec.Machine.MemoryBytes, NanoCPUs: int64(spec.Machine.CPUs * 1e9),
		PidsLimit: spec.Limits.Pids, Ulimits: []InspectUlimit{}, DiskQuota: spec.Rootfs.SizeBytes,
	}
	for _, t := range spec.Rootfs.Tmpfs {
		h.Tmpfs[t.Path] = strings.Join(t.Options, ",")
	}
	for _, u := range spec.Limits.Ulimits {
		h.Ulimits = append(h.Ulimits, InspectUlimit{Name: "RLIMIT_" + strings.ToUpper(u.Name), Soft: u.Soft, Hard: u.Hard})
	}
	return h
}

// inspectNetwork lays out addresses and ports: while it runs as bound, else as asked.
func inspectNetwork(row Listed) InspectNetwork {
	ports := row.Spec.Network.Ports
	if row.Running() {
		ports = row.Live.Ports
	}
	n := InspectNetwork{Ports: portBindings(ports), MacAddress: row.Spec.Network.MAC, Networks: map[string]json.RawMessage{}}
	for p := range row.Spec.Image.ExposedPorts {
		if _, ok := n.Ports[p]; !ok {
			n.Ports[p] = nil
		}
	}
	return n
}

// portBindings maps "80/tcp" to the places it is published at.
func portBindings(ports []container.PortMapping) map[string][]InspectPort {
	out := map[string][]InspectPort{}
	for _, p := range ports {
		for i := range max(p.Range, 1) {
			key := fmt.Sprintf("%d/%s", p.ContainerPort+i, p.Protocol)
			host := ""
			if p.HostPort != 0 {
				host = strconv.Itoa(int(p.HostPort + i))
			}
			out[key] = append(out[key], InspectPort{HostIP: p.HostIP, HostPort: host})
		}
	}
	return out
}

// orEmpty makes a nil list print as [], as Podman does for most keys.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
