// Package container is vpod's vocabulary for one container: the Spec (what was
// asked, resolved once, never changed), the Record (what has become of it) and
// the State it is in.
//
// It holds no behaviour beyond checking and printing itself, opens nothing and
// is imported by every room above it.
package container

import (
	"encoding/json"
	"time"
)

// Spec is what the user asked for, resolved against the image once at creation
// and stored as JSON. Nothing changes it afterwards.
type Spec struct {
	ID      string    `json:"id"`   // 64 lower-case hex digits
	Name    string    `json:"name"` // unique in the state database
	Created time.Time `json:"created"`

	Image   Image   `json:"image"`
	Process Process `json:"process"`
	Rootfs  Rootfs  `json:"rootfs"`
	Machine Machine `json:"machine"`
	Network Network `json:"network"`
	Log     Log     `json:"log"`
	Limits  Limits  `json:"limits"`

	Hostname    string            `json:"hostname"`
	Init        bool              `json:"init,omitempty"`       // run the command under a small init
	Privileged  bool              `json:"privileged,omitempty"` // inside its own machine
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Sysctls     map[string]string `json:"sysctls,omitempty"`
	TZ          string            `json:"tz,omitempty"` // zone name, or "local"

	StopSignal         string        `json:"stopSignal"`               // as "SIGTERM"
	StopTimeoutSeconds uint          `json:"stopTimeoutSeconds"`       // before SIGKILL
	TimeoutSeconds     uint          `json:"timeoutSeconds,omitempty"` // kill after this long; 0 is never
	Restart            RestartPolicy `json:"restart"`
	AutoRemove         bool          `json:"autoRemove,omitempty"`

	// CreateCommand is the command line that made the container, for inspect.
	CreateCommand []string `json:"createCommand,omitempty"`
	CIDFile       string   `json:"cidFile,omitempty"`
}

// Image names the image a container was made from, and keeps what its
// configuration says beyond what Process has absorbed.
type Image struct {
	ID           string              `json:"id"`     // 64 hex digits, no algorithm prefix
	Name         string              `json:"name"`   // normalised reference, or the id when it has none
	RawName      string              `json:"raw"`    // as the user wrote it
	Digest       string              `json:"digest"` // of the manifest, "sha256:…"
	OS           string              `json:"os"`
	Architecture string              `json:"arch"`
	ExposedPorts map[string]struct{} `json:"exposedPorts,omitempty"` // "80/tcp"
	Volumes      []string            `json:"volumes,omitempty"`
	Healthcheck  json.RawMessage     `json:"healthcheck,omitempty"` // as the image holds it
}

// Process is the container's first process.
type Process struct {
	Entrypoint  []string `json:"entrypoint,omitempty"`
	Command     []string `json:"command,omitempty"`
	Env         []string `json:"env,omitempty"` // "KEY=value", sorted, image's and user's merged
	WorkDir     string   `json:"workDir"`
	User        string   `json:"user,omitempty"`   // "name|uid[:group|gid]", looked up in the image by the agent
	Groups      []string `json:"groups,omitempty"` // --group-add, names or numbers
	Terminal    bool     `json:"terminal,omitempty"`
	Interactive bool     `json:"interactive,omitempty"` // standard input is kept open
	Umask       string   `json:"umask,omitempty"`       // octal, as "0022"

	Capabilities    []string        `json:"capabilities,omitempty"` // the resulting set, sorted, as "CAP_CHOWN"
	CapAdd          []string        `json:"capAdd,omitempty"`       // as asked, for inspect
	CapDrop         []string        `json:"capDrop,omitempty"`
	NoNewPrivileges bool            `json:"noNewPrivileges,omitempty"`
	SecurityOpt     []string        `json:"securityOpt,omitempty"` // as asked, for inspect
	Seccomp         string          `json:"seccomp,omitempty"`     // "" default profile, "unconfined", or the path of SeccompProfile
	SeccompProfile  json.RawMessage `json:"seccompProfile,omitempty"`
	Mask            []string        `json:"mask,omitempty"`   // paths masked besides the default ones
	Unmask          []string        `json:"unmask,omitempty"` // paths, globs or "ALL" not masked and not read-only
}

// Args returns the argument vector: entrypoint, then command.
func (p Process) Args() []string {
	return append(append([]string(nil), p.Entrypoint...), p.Command...)
}

// RootfsMode says how the image reaches the guest.
type RootfsMode string

// The ways an image reaches the guest; see docs/design/rootfs.md.
const (
	RootfsDisk     RootfsMode = "disk"     // EROFS disk below an ext4 scratch disk (default)
	RootfsVirtiofs RootfsMode = "virtiofs" // the mounted image shared through virtiofsd
	Rootfs9p       RootfsMode = "9p"       // the mounted image shared through QEMU's 9p server
)

// Rootfs describes the root file system the guest assembles.
type Rootfs struct {
	Mode      RootfsMode `json:"mode"`
	ReadOnly  bool       `json:"readOnly,omitempty"`
	SizeBytes int64      `json:"sizeBytes"` // of the scratch disk
	ShmBytes  int64      `json:"shmBytes"`  // of /dev/shm
	Tmpfs     []Tmpfs    `json:"tmpfs,omitempty"`
}

// HasScratch reports whether the container has a writable disk of its own: a
// read-only one has it for the volumes its image declares.
func (s *Spec) HasScratch() bool {
	return s.Rootfs.Mode == RootfsDisk && (!s.Rootfs.ReadOnly || len(s.Image.Volumes) > 0)
}

// Tmpfs is one --tmpfs mount.
type Tmpfs struct {
	Path    string   `json:"path"`              // absolute, in the container
	Options []string `json:"options,omitempty"` // mount options as asked, as "size=64m"
}

// Machine is what the user asked of the virtual machine.
type Machine struct {
	MemoryBytes int64    `json:"memoryBytes"`
	CPUs        float64  `json:"cpus"`                 // virtual CPUs are this, rounded up; a fraction becomes a quota
	Kernel      string   `json:"kernel,omitempty"`     // path; "" is vpod's own
	KernelArgs  []string `json:"kernelArgs,omitempty"` // appended to the command line
	Board       string   `json:"board"`                // "q35" or "microvm"
	Accel       string   `json:"accel"`                // "auto", "kvm" or "tcg"
	Template    string   `json:"template,omitempty"`   // "auto" (also ""), "always" or "never"
}

// NetworkMode says how the container is connected.
type NetworkMode string

// The network modes.
const (
	NetworkNone NetworkMode = "none" // loopback alone
	NetworkUser NetworkMode = "user" // user-mode networking, no privileges (default)
)

// Network is the container's connection to the outside.
type Network struct {
	Mode       NetworkMode   `json:"mode"`
	MAC        string        `json:"mac,omitempty"` // "" for mode none
	Ports      []PortMapping `json:"ports,omitempty"`
	AddHosts   []string      `json:"addHosts,omitempty"` // "name:ip"; ip may be "host-gateway"
	DNS        []string      `json:"dns,omitempty"`      // server addresses; "none" alone leaves resolv.conf to the image
	DNSOptions []string      `json:"dnsOptions,omitempty"`
	DNSSearch  []string      `json:"dnsSearch,omitempty"`
	NoHosts    bool          `json:"noHosts,omitempty"` // leave /etc/hosts to the image
}

// Log says where the container's output is kept.
type Log struct {
	Driver       string `json:"driver"`            // "k8s-file", "json-file" or "none"
	Path         string `json:"path"`              // absolute; "" for driver none
	MaxSizeBytes int64  `json:"maxSize,omitempty"` // 0 is no limit
	Tag          string `json:"tag,omitempty"`
}

// Limits bound the container inside its machine.
type Limits struct {
	Pids    int64    `json:"pids,omitempty"` // 0 is no limit
	Ulimits []Ulimit `json:"ulimits,omitempty"`
}

// Ulimit is one --ulimit; values are RLIM_INFINITY as -1.
type Ulimit struct {
	Name string `json:"name"` // as "nofile"
	Soft int64  `json:"soft"`
	Hard int64  `json:"hard"`
}
