package monitor

import "time"

// Status is what a living monitor says of its machine, in status.json. It is
// rewritten (rename) at each change and valid only while the live lock is held.
type Status struct {
	Version      int       `json:"version"`
	State        string    `json:"state"` // "starting", "running", "restarting" or "stopping"
	MonitorPID   int       `json:"monitorPid"`
	QEMUPID      int       `json:"qemuPid,omitempty"`    // 0 between restarts
	StartedAt    time.Time `json:"startedAt"`            // of the first process; zero until it runs
	ReadyAfter   Duration  `json:"readyAfter,omitempty"` // from QEMU's start to the agent's hello
	RestartCount int       `json:"restartCount,omitempty"`
	ExitCode     int       `json:"exitCode,omitempty"` // of the run before, while restarting
	Accel        string    `json:"accel,omitempty"`
	Board        string    `json:"board,omitempty"`
	Kernel       string    `json:"kernel,omitempty"` // uname -r, as the agent said; untrusted text
	Ports        []Port    `json:"ports,omitempty"`  // as bound on the host
}

// Duration is a time.Duration that reads well in JSON, as "1.05s".
type Duration time.Duration

// MarshalText prints the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a printed duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Port is one port as bound on the host.
type Port struct {
	HostIP        string `json:"hostIP"`
	HostPort      uint16 `json:"hostPort"`
	ContainerPort uint16 `json:"containerPort"`
	Protocol      string `json:"protocol"`
}

// Exit is how a container last ended, in exit.json (written, synced, renamed,
// before the live lock is let go).
type Exit struct {
	Version       int       `json:"version"`
	StartedAt     time.Time `json:"startedAt"`
	FinishedAt    time.Time `json:"finishedAt"`
	ExitCode      int       `json:"exitCode"`
	OOMKilled     bool      `json:"oomKilled,omitempty"`
	RestartCount  int       `json:"restartCount,omitempty"`
	StoppedByUser bool      `json:"stoppedByUser,omitempty"`
	Error         string    `json:"error,omitempty"` // why the machine ended, when not by its first process
}
