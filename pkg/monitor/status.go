package monitor

import (
	"time"

	"vpod/pkg/container"
	"vpod/pkg/paths"
	"vpod/pkg/timing"
)

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
	Template     string    `json:"template,omitempty"` // key of the one the machine was started from; "" is a cold boot
	Kernel       string    `json:"kernel,omitempty"`   // uname -r, as the agent said; untrusted text
	Ports        []Port    `json:"ports,omitempty"`    // as bound on the host
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

	// Restarts says, in exit frames alone, that this was not the container's end:
	// its policy has it started again.
	Restarts bool `json:"restarts,omitempty"`

	// Timing is, in exit frames alone, what the monitor has recorded of the first run
	// since its reports.
	Timing *timing.Record `json:"timing,omitempty"`
}

// States of a Status.
const (
	statusStarting   = "starting"
	statusRunning    = "running"
	statusPaused     = "paused"
	statusRestarting = "restarting"
	statusStopping   = "stopping"
)

// setStatus changes the status and writes it.
func (s *supervisor) setStatus(change func(*Status)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
	if s.runDir == "" {
		return nil
	}
	return writeJSON(paths.Container{Run: s.runDir}.Status(), s.status, false)
}

// tell is setStatus where a failure changes nothing: a status out of date is a
// blemish.
func (s *supervisor) tell(change func(*Status)) {
	if err := s.setStatus(change); err != nil {
		s.log.Warn("write status", "error", err)
	}
}

// boundPorts lists the ports that mappings bind, one by one.
func boundPorts(mappings []container.PortMapping) []Port {
	var ports []Port
	for _, m := range mappings {
		for i := range max(m.Range, 1) {
			ports = append(ports, Port{
				HostIP: m.HostIP, HostPort: m.HostPort + i, ContainerPort: m.ContainerPort + i, Protocol: m.Protocol,
			})
		}
	}
	return ports
}
