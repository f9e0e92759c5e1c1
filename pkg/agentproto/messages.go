package agentproto

import (
	"encoding/json"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Version is the protocol spoken by this build. The hello settles on the
// smaller of the two ends' versions; MinVersion is the oldest still spoken.
const (
	Version    = 1
	MinVersion = 1
)

// Op names what a stream is for.
type Op string

// The operations. Their request and reply bodies are named beside them; an
// operation without a reply body answers with an empty one.
const (
	OpHello    Op = "hello"    // HelloRequest -> HelloReply; first of every session
	OpStart    Op = "start"    // StartRequest -> StartReply
	OpWait     Op = "wait"     // -> ExitStatus; answers when the process has ended
	OpSignal   Op = "signal"   // SignalRequest
	OpResize   Op = "resize"   // ResizeRequest
	OpInput    Op = "input"    // BulkRequest -> BulkReply; then bytes host to guest; shutting it ends standard input
	OpOutput   Op = "output"   // BulkRequest -> BulkReply; then bytes guest to host until the source ends
	OpForget   Op = "forget"   // drop a finished process and its kept output
	OpList     Op = "list"     // -> ListReply
	OpAccept   Op = "accept"   // AcceptRequest; answers when a program has connected to a Socket; then its bytes, both ways
	OpTree     Op = "tree"     // TreeRequest; then chunks guest to host
	OpShutdown Op = "shutdown" // ShutdownRequest; answers when the machine may be switched off
	OpClock    Op = "clock"    // ClockRequest -> ClockReply; reads the guest's clock, and brings it back to the host's
)

// InitProcess is the process id of a container's first process.
const InitProcess = "init"

// Request is the first frame of every stream.
type Request struct {
	Op        Op              `json:"op"`
	Container string          `json:"container,omitempty"` // 64 hex digits; every operation but hello, clock and shutdown names one
	Process   string          `json:"process,omitempty"`   // InitProcess or an exec session's id
	Body      json.RawMessage `json:"body,omitempty"`
}

// Reply answers a Request. Error nil is success.
type Reply struct {
	Error *Error          `json:"error,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// ErrorCode is what a caller branches on.
type ErrorCode string

// The error codes.
const (
	ErrBadRequest    ErrorCode = "bad-request"    // not understood, or against the protocol
	ErrVersion       ErrorCode = "version"        // no common protocol version
	ErrNoContainer   ErrorCode = "no-container"   // unknown container
	ErrNoProcess     ErrorCode = "no-process"     // unknown or finished process
	ErrExists        ErrorCode = "exists"         // container or process id in use
	ErrNotFound      ErrorCode = "not-found"      // command not in the image: exit code 127
	ErrNotExecutable ErrorCode = "not-executable" // command cannot be run: exit code 126
	ErrNoUser        ErrorCode = "no-user"        // user or group not in the image
	ErrSetup         ErrorCode = "setup"          // root file system, mounts or limits could not be set up
	ErrOffset        ErrorCode = "offset"         // bulk offset no longer (or not yet) kept
	ErrInternal      ErrorCode = "internal"
)

// Error is a failure reported by the agent.
type Error struct {
	Code    ErrorCode `json:"code"`
	Message string    `json:"message"` // one line, without a trailing full stop
}

func (e *Error) Error() string { return fmt.Sprintf("%s (%s)", e.Message, e.Code) }

// HelloRequest opens a session's conversation.
type HelloRequest struct {
	MinVersion int `json:"minVersion"`
	MaxVersion int `json:"maxVersion"`
}

// HelloReply tells what answers.
type HelloReply struct {
	Version     int    `json:"version"`    // the one both will speak
	Generation  uint64 `json:"generation"` // sessions since the agent started, this one included
	Kernel      string `json:"kernel"`     // uname -r
	MemoryBytes uint64 `json:"memoryBytes"`
	CPUs        int    `json:"cpus"`
	ClockNanos  int64  `json:"clockNanos"`     // the guest's monotonic clock now
	Boot        []Lap  `json:"boot,omitempty"` // from the guest kernel's start to now; first session alone
}

// StartRequest starts one process. With Container it also makes the container
// whose first process it is (Request.Process is then InitProcess); with Machine
// it also sets up the machine first. One message does all of it.
type StartRequest struct {
	Machine   *Machine   `json:"machine,omitempty"`
	Container *Container `json:"container,omitempty"`
	Process   Process    `json:"process"`
	Timing    bool       `json:"timing,omitempty"` // say what took how long
}

// StartReply answers once the command has been executed (execve succeeded).
type StartReply struct {
	PID  int   `json:"pid"` // in the machine's initial pid namespace
	Laps []Lap `json:"laps,omitempty"`
}

// Lap is a part of what the agent did for a request, in the order of its doing.
type Lap struct {
	What  string `json:"what"` // as "assemble the root file system"
	Nanos int64  `json:"nanos"`
}

// Machine is what the guest cannot know by itself.
type Machine struct {
	TimeUnixNano int64  `json:"timeUnixNano"`         // wall clock to set; 0 leaves it
	ClockNanos   int64  `json:"clockNanos,omitempty"` // the guest's monotonic clock when it was that time; 0: it is
	Entropy      []byte `json:"entropy,omitempty"`
	Hostname     string `json:"hostname,omitempty"`
	NICs         []NIC  `json:"nics,omitempty"`
}

// ClockRequest says what time it was at a moment the guest can find again by its
// own monotonic clock. Without a time it only asks for that clock.
type ClockRequest struct {
	TimeUnixNano int64 `json:"timeUnixNano,omitempty"` // wall clock; 0 sets nothing
	ClockNanos   int64 `json:"clockNanos,omitempty"`   // the guest's monotonic clock at that time
	ErrorNanos   int64 `json:"errorNanos,omitempty"`   // how far off this may be, either way: less is left alone
}

// ClockReply tells the guest's clock.
type ClockReply struct {
	ClockNanos  int64 `json:"clockNanos"`            // the guest's monotonic clock now
	BehindNanos int64 `json:"behindNanos,omitempty"` // how far its wall clock was behind; negative: ahead
	Stepped     bool  `json:"stepped,omitempty"`     // it was set at once, not brought nearer slowly
}

// NIC configures the network interface with a given MAC address, or, when none
// has it, the first Ethernet interface, whose address is then set.
type NIC struct {
	MAC       string   `json:"mac"`
	Name      string   `json:"name"`               // as "eth0"
	Addresses []string `json:"addresses"`          // "10.0.2.15/24"
	Gateways  []string `json:"gateways,omitempty"` // default routes, one per family
	MTU       int      `json:"mtu,omitempty"`      // 0 leaves the driver's
}

// Container is a container to be made. What becomes of every field of OCI is
// listed in docs/design/oci-config.md.
type Container struct {
	Rootfs Rootfs `json:"rootfs"`

	// OCI is a runtime-spec configuration. Process and Root are ignored:
	// Process stands in the StartRequest, Root in Rootfs.
	OCI specs.Spec `json:"oci"`

	// Files are written by the agent outside the root file system and bind-mounted
	// over their paths (/etc/hosts, /etc/hostname, /etc/resolv.conf).
	Files []File `json:"files,omitempty"`

	// Sockets stand for sockets of the host. The agent listens on them, and the host
	// takes the connections with OpAccept.
	Sockets []Socket `json:"sockets,omitempty"`

	// Volumes are directories the image declares: absolute paths. They are made where
	// they are not there, for the first process's user, and are writable also below a
	// read-only root.
	Volumes []string `json:"volumes,omitempty"`
}

// Rootfs says what the root file system is assembled from. Disks are known by
// the serial number of their virtio-blk device, shares by their tag.
type Rootfs struct {
	LowerDisk   string `json:"lowerDisk,omitempty"`   // EROFS; mounted read-only
	ScratchDisk string `json:"scratchDisk,omitempty"` // ext4; holds the overlay's upper and work directories
	Share       string `json:"share,omitempty"`       // in place of both disks: tag of a shared tree
	ShareKind   string `json:"shareKind,omitempty"`   // "virtiofs" or "9p"
	Binds       []Bind `json:"binds,omitempty"`       // of a share, in order
	ReadOnly    bool   `json:"readOnly,omitempty"`    // with a LowerDisk: no scratch disk is needed
	Volatile    bool   `json:"volatile,omitempty"`    // nothing written needs to survive: no syncs
	ShareDir    string `json:"shareDir,omitempty"`    // name of the directory of the share that is the root; "" is the share itself
}

// Bind is a place in a shared tree over which the host has laid something else. The
// agent makes it a mount of its own: it has the attributes that Options ask for
// (runtime-spec, config.md, "Linux mount options") and no others, whatever those of
// the mount around it are. One that a later bind hides is left out.
type Bind struct {
	Path    string   `json:"path"` // absolute, in the container
	Options []string `json:"options,omitempty"`
}

// File is a small file the agent provides.
type File struct {
	Path    string   `json:"path"` // absolute, in the container
	Mode    uint32   `json:"mode"` // permission bits
	Data    []byte   `json:"data"`
	Options []string `json:"options,omitempty"` // of the mount, as a Bind's
}

// MaxSockets bounds the sockets of a container.
const MaxSockets = 16

// Socket is a unix stream socket to which the container's programs can connect.
type Socket struct {
	Path string `json:"path"` // absolute, in the container
	Mode uint32 `json:"mode"` // permission bits
	UID  uint32 `json:"uid,omitempty"`
	GID  uint32 `json:"gid,omitempty"`
}

// AcceptRequest asks for the next connection to one of a container's sockets, by its
// place in Container.Sockets. It is answered when there is one, or with the container's
// end. Either side ends its direction as that of any stream.
type AcceptRequest struct {
	Socket int `json:"socket"`
}

// Process is one process to start in a container.
type Process struct {
	// OCI is runtime-spec's process. User.UID, User.GID and
	// User.AdditionalGids are replaced by what User and Groups say when User is
	// not empty. Capabilities, rlimits, no-new-privileges, umask, terminal and
	// console size, cwd, env, args and oom score are honoured.
	OCI specs.Process `json:"oci"`

	User    string   `json:"user,omitempty"`    // "name|uid[:group|gid]", looked up in the container's /etc/passwd and /etc/group
	Groups  []string `json:"groups,omitempty"`  // more groups, names or numbers
	Stdin   bool     `json:"stdin,omitempty"`   // open; else standard input is /dev/null
	Init    bool     `json:"init,omitempty"`    // run under the agent's small init, as PID 1 of the container
	Seccomp []byte   `json:"seccomp,omitempty"` // array of struct sock_filter, compiled by the host; empty is unconfined
}

// ExitStatus is how a process ended.
type ExitStatus struct {
	Code      int   `json:"code"`                // exit code; 128+n when killed by signal n
	Signal    int   `json:"signal,omitempty"`    // that killed it, else 0
	OOMKilled bool  `json:"oomKilled,omitempty"` // the container's memory ran out while it ran
	UnixNano  int64 `json:"unixNano"`            // when, by the guest's clock
}

// SignalRequest sends a signal to a process.
type SignalRequest struct {
	Signal int  `json:"signal"`
	All    bool `json:"all,omitempty"` // to every process of the container
}

// ResizeRequest sets the size of a process's terminal.
type ResizeRequest struct {
	Rows uint16 `json:"rows"`
	Cols uint16 `json:"cols"`
}

// BulkRequest opens standard input or output of a process. For output, FD is 1
// or 2 (a terminal has only 1). Offset is the count of bytes the host has already
// taken charge of (output); for input it is ignored.
type BulkRequest struct {
	FD     int   `json:"fd,omitempty"`
	Offset int64 `json:"offset,omitempty"`
}

// BulkReply answers with the offset from which the stream goes on: for output
// the one asked for, for input the count of bytes the agent has taken charge of.
type BulkReply struct {
	Offset int64 `json:"offset"`
}

// ListReply lists the processes of a container the agent knows.
type ListReply struct {
	Processes []ProcessInfo `json:"processes"`
	PIDs      []int         `json:"pids"` // all processes in its control group
}

// ProcessInfo describes one started process.
type ProcessInfo struct {
	ID   string      `json:"id"`
	PID  int         `json:"pid"`
	Exit *ExitStatus `json:"exit,omitempty"` // nil while it runs
}

// ShutdownRequest prepares the machine to be switched off. Containers still
// running are killed. With Sync, their disks are unmounted cleanly.
type ShutdownRequest struct {
	Sync bool `json:"sync"`
}
