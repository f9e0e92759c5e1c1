package engine

import (
	"io"
	"os"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/image"
	"vpod/pkg/rootfs"
)

// Platform asks for an image's platform; zero fields mean the host's.
type Platform struct{ OS, Arch, Variant string }

// PullOptions say how an image is fetched.
type PullOptions struct {
	Policy    string // "always", "missing" (default), "newer" or "never"
	Platform  Platform
	AuthFile  string
	Creds     string // "user[:password]"
	CertDir   string
	TLSVerify *bool     // nil leaves it to registries.conf
	Progress  io.Writer // nil is quiet

	Retry          Retry
	DecryptionKeys []string // "FILE[:PASSWORD]", for encrypted layers
}

// CreateOptions are what Create needs besides the Spec.
type CreateOptions struct {
	Image    string // as the user wrote it
	Pull     PullOptions
	Replace  bool                           // remove a container of the same name first
	Starts   bool                           // it is started at once: what that needs is prepared meanwhile
	Progress func(line string, percent int) // conversion progress, percent -1 when unknown; nil is quiet

	// EntrypointSet says that Spec.Process.Entrypoint replaces the image's even
	// when it is empty.
	EntrypointSet bool
}

// Size is a terminal's.
type Size struct{ Rows, Cols uint16 }

// Streams connect a client with a container's process. A nil stream is not attached.
type Streams struct {
	Stdin      io.Reader
	Stdout     io.Writer
	Stderr     io.Writer
	Resize     <-chan Size      // initial size first; nil without a terminal
	Signals    <-chan os.Signal // to pass on to the process; nil passes none
	DetachKeys []byte           // empty: keys detach nothing
}

// ErrDetached (see attach.go) ends Start, Attach and Exec when the user typed
// the detach keys.

// StartOptions say how Start behaves.
type StartOptions struct {
	Attach *Streams // nil starts detached
}

// ExecOptions describe a process to start in a running container.
type ExecOptions struct {
	Command    []string
	Env        []string // "KEY=value", added to the container's
	User       string   // "" is the container's
	WorkDir    string   // "" is the container's
	Terminal   bool
	Privileged bool
	Detach     bool
	Streams    Streams
	Size       *Size // initial, with Terminal
}

// Selection picks the containers a verb works on.
type Selection struct {
	Names   []string // ids, unique id prefixes or names
	All     bool
	Latest  bool
	Filters []string // "key=value" as of ps --filter
	Ignore  bool     // names that do not exist are passed over
}

// Result is what became of one container of a Selection.
type Result struct {
	Input string // as the user named it, or the id
	ID    string
	Err   error
}

// StopOptions say how containers are stopped.
type StopOptions struct {
	TimeoutSeconds *int // nil is each container's own
}

// RemoveOptions say how containers are removed.
type RemoveOptions struct {
	Force          bool // stop or kill first
	TimeoutSeconds *int // of that stop; nil is each container's own
	Volumes        bool // accepted by podman; anonymous volumes live in the scratch disk
}

// ListOptions are those of ps.
type ListOptions struct {
	All     bool // also those that do not run
	Latest  bool
	Last    int // the last n created, in any state; 0 is no bound
	Filters []string
	Size    bool // fill in Sizes
}

// Listed is one row of ps: a container with its true state at this moment.
type Listed struct {
	container.Container
	Live Live
	Size *Size64
}

// Size64 is a container's share of the disk, in bytes.
type Size64 struct {
	Writable int64 // scratch disk, as allocated
	Root     int64 // image and writable layer together
}

// Live is what a running container's monitor says; zero when it does not run.
type Live struct {
	State        string // "starting", "running", "paused", "restarting", "stopping"
	MonitorPID   int
	QEMUPID      int
	StartedAt    time.Time
	RestartCount int
	Accel        string
	Board        string
	Kernel       string // as the guest said: untrusted text
	Template     string // key of the one the machine started from; "" is a cold boot
	Ports        []container.PortMapping
}

// LogOptions are those of logs.
type LogOptions struct {
	Follow     bool
	Tail       int // the last n lines; negative is all
	Since      time.Time
	Until      time.Time
	Timestamps bool
	Names      bool // prefix lines with the container's name
	Color      bool // distinguish containers by colour
}

// WaitOptions are those of wait.
type WaitOptions struct {
	Interval   time.Duration
	Conditions []string // states; empty waits for the end ("stopped"/"exited")
	Ignore     bool
}

// Images as the workshop describes them.
type (
	Image        = image.Image
	ImageSummary = image.Summary
	ImageInspect = image.InspectData
)

// ImageDisk is the disk made from an image.
type ImageDisk = rootfs.Entry

// ImageRemoved is what became of one image.
type ImageRemoved struct {
	ID        string
	Untagged  []string // names it lost
	Deleted   bool     // it is gone
	DiskBytes int64    // of the disk made from it, which went with it
}
