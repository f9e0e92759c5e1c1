package engine

import (
	"encoding/json"
	"time"
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
	ResolvConfPath  string            `json:"ResolvConfPath"` // this and the next two: the agent writes them, in the guest
	HostnamePath    string            `json:"HostnamePath"`
	HostsPath       string            `json:"HostsPath"`
	Pod             string            `json:"Pod"`
	StaticDir       string            `json:"StaticDir"`
	ConmonPidFile   string            `json:"ConmonPidFile"`
	PidFile         string            `json:"PidFile"`
	OCIRuntime      string            `json:"OCIRuntime"`
	Name            string            `json:"Name"`
	RestartCount    int               `json:"RestartCount"`
	Driver          string            `json:"Driver"`
	MountLabel      string            `json:"MountLabel"`
	ProcessLabel    string            `json:"ProcessLabel"`
	AppArmorProfile string            `json:"AppArmorProfile"`
	EffectiveCaps   []string          `json:"EffectiveCaps"`
	BoundingCaps    []string          `json:"BoundingCaps"`
	ExecIDs         []string          `json:"ExecIDs"`
	GraphDriver     InspectDriver     `json:"GraphDriver"`
	SizeRw          *int64            `json:"SizeRw,omitempty"`
	SizeRootFs      *int64            `json:"SizeRootFs,omitempty"`
	Mounts          []InspectMount    `json:"Mounts"`
	Dependencies    []string          `json:"Dependencies"`
	NetworkSettings InspectNetwork    `json:"NetworkSettings"`
	Namespace       string            `json:"Namespace"`
	IsInfra         bool              `json:"IsInfra"`
	IsService       bool              `json:"IsService"`
	Config          InspectConfig     `json:"Config"`
	HostConfig      InspectHostConfig `json:"HostConfig"`
	VM              InspectVM         `json:"VM"`
}

// InspectState is the container's condition.
type InspectState struct {
	OciVersion     string        `json:"OciVersion"`
	Status         string        `json:"Status"`
	Running        bool          `json:"Running"`
	Paused         bool          `json:"Paused"`
	Restarting     bool          `json:"Restarting"`
	OOMKilled      bool          `json:"OOMKilled"`
	Dead           bool          `json:"Dead"`
	Pid            int           `json:"Pid"`       // of QEMU: the process on the host that is this container
	ConmonPid      int           `json:"ConmonPid"` // of the monitor
	ExitCode       int           `json:"ExitCode"`
	Error          string        `json:"Error"`
	StartedAt      time.Time     `json:"StartedAt"`
	FinishedAt     time.Time     `json:"FinishedAt"`
	Health         InspectHealth `json:"Health"`
	CheckpointedAt time.Time     `json:"CheckpointedAt"`
	RestoredAt     time.Time     `json:"RestoredAt"`
}

// InspectHealth is the result of health checks, none of which are run.
type InspectHealth struct {
	Status        string   `json:"Status"`
	FailingStreak int      `json:"FailingStreak"`
	Log           []string `json:"Log"`
}

// InspectDriver says what the root file system is made of: the disks' files, where it
// is made of disks.
type InspectDriver struct {
	Name string            `json:"Name"`
	Data map[string]string `json:"Data"`
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
	EndpointID             string                     `json:"EndpointID"`
	Gateway                string                     `json:"Gateway"`
	IPAddress              string                     `json:"IPAddress"`
	IPPrefixLen            int                        `json:"IPPrefixLen"`
	IPv6Gateway            string                     `json:"IPv6Gateway"`
	GlobalIPv6Address      string                     `json:"GlobalIPv6Address"`
	GlobalIPv6PrefixLen    int                        `json:"GlobalIPv6PrefixLen"`
	MacAddress             string                     `json:"MacAddress"`
	Bridge                 string                     `json:"Bridge"`
	SandboxID              string                     `json:"SandboxID"`
	HairpinMode            bool                       `json:"HairpinMode"`
	LinkLocalIPv6Address   string                     `json:"LinkLocalIPv6Address"`
	LinkLocalIPv6PrefixLen int                        `json:"LinkLocalIPv6PrefixLen"`
	SandboxKey             string                     `json:"SandboxKey"`
	Ports                  map[string][]InspectPort   `json:"Ports"`
	Networks               map[string]json.RawMessage `json:"Networks"`
}

// InspectPort is where a container's port is published.
type InspectPort struct {
	HostIP   string `json:"HostIp"`
	HostPort string `json:"HostPort"`
}

// InspectConfig is what runs and with what.
type InspectConfig struct {
	Hostname                   string              `json:"Hostname"`
	Domainname                 string              `json:"Domainname"`
	User                       string              `json:"User"`
	AttachStdin                bool                `json:"AttachStdin"`
	AttachStdout               bool                `json:"AttachStdout"`
	AttachStderr               bool                `json:"AttachStderr"`
	Tty                        bool                `json:"Tty"`
	OpenStdin                  bool                `json:"OpenStdin"`
	StdinOnce                  bool                `json:"StdinOnce"`
	Env                        []string            `json:"Env"`
	Cmd                        []string            `json:"Cmd"`
	Image                      string              `json:"Image"`
	Volumes                    map[string]struct{} `json:"Volumes"`
	WorkingDir                 string              `json:"WorkingDir"`
	Entrypoint                 string              `json:"Entrypoint"`
	OnBuild                    []string            `json:"OnBuild"`
	ExposedPorts               map[string]struct{} `json:"ExposedPorts,omitempty"`
	Labels                     map[string]string   `json:"Labels"`
	Annotations                map[string]string   `json:"Annotations"`
	StopSignal                 int                 `json:"StopSignal"`
	Healthcheck                json.RawMessage     `json:"Healthcheck,omitempty"`
	HealthcheckOnFailureAction string              `json:"HealthcheckOnFailureAction"`
	CreateCommand              []string            `json:"CreateCommand,omitempty"`
	Timezone                   string              `json:"Timezone,omitempty"`
	Umask                      string              `json:"Umask"`
	Timeout                    uint                `json:"Timeout"`
	StopTimeout                uint                `json:"StopTimeout"`
	Passwd                     bool                `json:"Passwd"` // whether /etc/passwd is given an entry
	SdNotifyMode               string              `json:"sdNotifyMode"`
}

// InspectHostConfig is what was asked of the host. The last part is what vpod has no
// options for, as it stands in every machine: nothing is shared with the host, there
// is no swap, and nothing else is limited.
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
	CPUPeriod       uint64                   `json:"CpuPeriod"` // microseconds; this and the next are what NanoCpus comes to
	CPUQuota        int64                    `json:"CpuQuota"`
	MemorySwap      int64                    `json:"MemorySwap"` // bytes, with Memory: as that, for there is no swap

	Binds                []string          `json:"Binds"`
	VolumeDriver         string            `json:"VolumeDriver"`
	VolumesFrom          []string          `json:"VolumesFrom"`
	Links                []string          `json:"Links"`
	Devices              []string          `json:"Devices"`
	CgroupManager        string            `json:"CgroupManager"`
	CgroupMode           string            `json:"CgroupMode"`
	Cgroup               string            `json:"Cgroup"`
	Cgroups              string            `json:"Cgroups"`
	CgroupParent         string            `json:"CgroupParent"`
	CgroupConf           map[string]string `json:"CgroupConf"`
	IpcMode              string            `json:"IpcMode"`
	PidMode              string            `json:"PidMode"`
	UTSMode              string            `json:"UTSMode"`
	UsernsMode           string            `json:"UsernsMode"`
	Isolation            string            `json:"Isolation"`
	ConsoleSize          [2]uint           `json:"ConsoleSize"`
	OomScoreAdj          int               `json:"OomScoreAdj"`
	OomKillDisable       bool              `json:"OomKillDisable"`
	BlkioWeight          uint16            `json:"BlkioWeight"`
	BlkioWeightDevice    []string          `json:"BlkioWeightDevice"`
	BlkioDeviceReadBps   []string          `json:"BlkioDeviceReadBps"`
	BlkioDeviceWriteBps  []string          `json:"BlkioDeviceWriteBps"`
	BlkioDeviceReadIOps  []string          `json:"BlkioDeviceReadIOps"`
	BlkioDeviceWriteIOps []string          `json:"BlkioDeviceWriteIOps"`
	CPUShares            uint64            `json:"CpuShares"`
	CPUCount             uint64            `json:"CpuCount"`
	CPUPercent           uint64            `json:"CpuPercent"`
	CPURealtimePeriod    uint64            `json:"CpuRealtimePeriod"`
	CPURealtimeRuntime   int64             `json:"CpuRealtimeRuntime"`
	CpusetCpus           string            `json:"CpusetCpus"`
	CpusetMems           string            `json:"CpusetMems"`
	KernelMemory         int64             `json:"KernelMemory"`
	MemoryReservation    int64             `json:"MemoryReservation"`
	MemorySwappiness     int64             `json:"MemorySwappiness"`
	IOMaximumIOps        uint64            `json:"IOMaximumIOps"`
	IOMaximumBandwidth   uint64            `json:"IOMaximumBandwidth"`
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
