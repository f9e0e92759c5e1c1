package container

import "time"

// Record is what has become of a container: the one mutable row beside its Spec.
type Record struct {
	ID            string    `json:"id"`
	State         State     `json:"state"`
	StartedAt     time.Time `json:"startedAt"`  // zero before the first start
	FinishedAt    time.Time `json:"finishedAt"` // zero before the first end
	ExitCode      int       `json:"exitCode"`
	Error         string    `json:"error,omitempty"` // why the machine ended, when not by its first process
	OOMKilled     bool      `json:"oomKilled,omitempty"`
	RestartCount  int       `json:"restartCount,omitempty"`
	StoppedByUser bool      `json:"stoppedByUser,omitempty"` // unless-stopped looks at it
	MonitorPID    int       `json:"monitorPid,omitempty"`    // of the last monitor; a hint, never a proof
}

// Container is a Spec with its Record.
type Container struct {
	Spec   Spec
	Record Record
}
