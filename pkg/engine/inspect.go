package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containers/common/pkg/signal"
	"github.com/docker/go-units"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/container"
	"vpod/pkg/paths"
)

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
			OciVersion: specs.Version, Status: row.ShownState(), Running: row.Running() && row.Live.State != paused, Paused: row.Live.State == paused,
			Restarting: row.Live.State == restarting, OOMKilled: record.OOMKilled,
			Pid: row.Live.QEMUPID, ConmonPid: row.Live.MonitorPID,
			ExitCode: record.ExitCode, Error: record.Error,
			StartedAt: record.StartedAt, FinishedAt: record.FinishedAt,
		},
		ExecIDs: []string{}, Dependencies: []string{},
		GraphDriver:     InspectDriver{Name: string(spec.Rootfs.Mode), Data: map[string]string{}},
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
		out.GraphDriver.Data["ImageDisk"] = imageDisk
		if spec.HasScratch() {
			out.VM.ScratchDisk = files.Scratch()
			out.GraphDriver.Data["ScratchDisk"] = files.Scratch()
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
		HealthcheckOnFailureAction: "none", SdNotifyMode: "ignore",
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
		MemorySwap: spec.Machine.MemoryBytes,
		Binds:      []string{}, Devices: []string{}, CgroupManager: "cgroupfs", CgroupMode: "private", Cgroups: "default",
		IpcMode: "private", PidMode: "private", UTSMode: "private",
	}
	if spec.Machine.CPUs != 0 {
		h.CPUPeriod, h.CPUQuota = cpuPeriodMicros, int64(spec.Machine.CPUs*cpuPeriodMicros)
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
