package qemu

// Board is the machine type.
type Board string

// The boards. Q35 has PCI and with it hot-plug; MicroVM has virtio-mmio and starts somewhat faster.
const (
	BoardQ35     Board = "q35"
	BoardMicroVM Board = "microvm"
)

// Accel is what executes the guest's instructions.
type Accel string

// The accelerators. TCG is emulation and works everywhere.
const (
	AccelKVM Accel = "kvm"
	AccelTCG Accel = "tcg"
)

// Cache is a disk's policy towards the host's page cache.
type Cache string

// The policies. Writeback obeys the guest's flushes; Unsafe ignores them, which is right for a disk that is worth
// nothing after a crash of the host.
const (
	CacheWriteback Cache = "writeback"
	CacheUnsafe    Cache = "unsafe"
)

// Machine describes a virtual machine. It is stored as JSON; descriptors are numbers in QEMU's process and live only
// as long as that (see Files), hence not stored.
type Machine struct {
	Name  string `json:"name"` // of the process in listings, and QEMU's -name
	Board Board  `json:"board"`
	Accel Accel  `json:"accel"`

	MemoryBytes int64 `json:"memoryBytes"`
	CPUs        int   `json:"cpus"`              // present at start
	MaxCPUs     int   `json:"maxCPUs,omitempty"` // room for hot-plug; 0 means CPUs

	// MemoryPath is a file that holds the guest's memory, as templates need; empty means anonymous memory. It is
	// created with MemoryBytes if absent.
	MemoryPath string `json:"memoryPath,omitempty"`
	// MemoryShared maps the memory shared: into MemoryPath, whose content then changes, or, without one, into a
	// memfd that vhost-user helpers can map. A Share of kind virtiofs implies it. False with MemoryPath is a
	// private copy-on-write view of the file.
	MemoryShared bool `json:"memoryShared,omitempty"`
	// MemoryProtected says that whoever starts QEMU keeps it from making holes in MemoryPath, or does not mind them
	// there: only then may the guest of such a machine give memory back.
	MemoryProtected bool `json:"memoryProtected,omitempty"`

	// Kernel is an ELF vmlinux with a PVH entry, see PrepareKernel. A machine with Incoming needs none: it has booted.
	Kernel     string   `json:"kernel,omitempty"`
	Initrd     string   `json:"initrd,omitempty"`     //
	KernelArgs []string `json:"kernelArgs,omitempty"` // after those the machine itself needs

	Disks  []Disk  `json:"disks,omitempty"`
	Shares []Share `json:"shares,omitempty"`
	NIC    *NIC    `json:"nic,omitempty"` // nil: no network device

	// HotplugPorts is how many free PCIe root ports a q35 board gets, named by HotplugPort; 0 means none.
	HotplugPorts int `json:"hotplugPorts,omitempty"`

	// GenerationID is the VM generation id, a UUID, or "auto" for a random one; empty means no such device. The
	// guest's kernel reseeds its random numbers when a restored machine has another one. Q35 only.
	GenerationID string `json:"generationID,omitempty"`

	// Incoming makes QEMU wait for a saved state in place of booting: "defer" (QMP migrate-incoming) or "fd:N".
	Incoming string `json:"incoming,omitempty"`
	// Paused leaves the virtual CPUs standing until QMP "cont".
	Paused bool `json:"paused,omitempty"`

	// Descriptors in QEMU's process, each one end of a socket pair; 0 means absent.
	QMPFD     int `json:"-"` // control
	ConsoleFD int `json:"-"` // the guest's first serial port; whoever holds the other end must keep reading
	AgentFD   int `json:"-"` // the virtio-serial port AgentPort
}

// AgentPort is the name of the virtio-serial port behind AgentFD, the one package agentproto calls PortName.
const AgentPort = "vpod.agent.0"

// Disk is a virtio block device over a raw file.
type Disk struct {
	ID       string `json:"id"`             // QEMU's node name; the device is called DeviceID
	Path     string `json:"path,omitempty"` // raw image
	FD       int    `json:"-"`              // opened image in place of Path; 0 means Path
	ReadOnly bool   `json:"readOnly,omitempty"`
	Cache    Cache  `json:"cache,omitempty"`  // empty means writeback
	Serial   string `json:"serial,omitempty"` // what the guest knows the disk by; at most 20 bytes; empty means ID
}

// DeviceID is the id of the disk's device, for DeviceDel and events; the disk's own ID names its content.
func (d Disk) DeviceID() string { return "disk-" + d.ID }

// ShareKind is how a directory of the host reaches the guest.
type ShareKind string

// The kinds. 9p is served by QEMU itself; virtiofs by a virtiofsd behind a vhost-user socket.
const (
	Share9P       ShareKind = "9p"
	ShareVirtioFS ShareKind = "virtiofs"
)

// Share is a directory of the host seen by the guest under a tag.
type Share struct {
	Tag      string    `json:"tag"`
	Kind     ShareKind `json:"kind"`
	Path     string    `json:"path,omitempty"` // 9p: the directory
	ReadOnly bool      `json:"readOnly,omitempty"`
	// Mapped keeps ownership and modes set by the guest in extended attributes (9p only), for directories whose
	// owner the user running QEMU cannot change.
	Mapped bool `json:"mapped,omitempty"`
	// Socket is virtiofsd's listening socket; FD a descriptor already connected to it, in place of Socket.
	Socket string `json:"socket,omitempty"`
	FD     int    `json:"-"`
}

// NIC is a virtio network device. Exactly one of User, StreamFD and Unconnected is its other end.
type NIC struct {
	MAC  string   `json:"mac"`
	MTU  int      `json:"mtu,omitempty"`  // offered to the guest in bytes; 0 leaves the usual 1500
	User *UserNet `json:"user,omitempty"` // QEMU's built-in NAT

	// Unconnected leaves the cable in the air, as a template's: nothing is carried, and a restored copy of the machine
	// gets another end.
	Unconnected bool `json:"unconnected,omitempty"`

	// StreamFD is a connected stream socket with length-prefixed frames: passt.
	StreamFD int `json:"-"`
}

// UserNet configures QEMU's built-in NAT (slirp). Empty addresses leave QEMU's defaults: network 10.0.2.0/24, host
// 10.0.2.2, name server 10.0.2.3. It has no IPv6: hosts without it make the guest wait for answers.
type UserNet struct {
	Network  string    `json:"network,omitempty"` // IPv4 prefix
	Host     string    `json:"host,omitempty"`    // the host (gateway) as the guest sees it
	DNS      string    `json:"dns,omitempty"`     // name server as the guest sees it
	Guest    string    `json:"guest,omitempty"`   // the guest's address; forwards go there
	Restrict bool      `json:"restrict,omitempty"`
	Forwards []Forward `json:"forwards,omitempty"`
}

// Forward leads a port of the host to one of the guest.
type Forward struct {
	Protocol  string `json:"protocol"`         // "tcp" or "udp"
	HostIP    string `json:"hostIP,omitempty"` // IPv4; empty means all addresses
	HostPort  int    `json:"hostPort"`
	GuestPort int    `json:"guestPort"`
}
