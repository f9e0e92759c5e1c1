package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"syscall"

	"vpod/pkg/paths"
	"vpod/pkg/unixsock"
)

// The run directory of a user goes when the user logs out for good
// (pam_systemd(8)), and a monitor may outlive that. So the lock that proves its
// life lies beside the container's data, and holds who has it and where it
// serves; and a monitor whose sockets have gone serves beside the data, too, when
// it is sent RenewSignal.

// RenewSignal asks a monitor to make its status and its sockets anew if they
// have gone. One that has written a Holder takes it.
const RenewSignal = syscall.SIGUSR1

// Holder is what the holder of a liveness lock has written into it, as JSON. It
// is valid only while the lock is held; empty until the monitor has opened its
// sockets.
type Holder struct {
	MonitorPID int    `json:"monitorPid"`
	RunDir     string `json:"runDir"` // where status and sockets are: paths.Container.Run, for now
}

// ReadHolder reads the liveness lock at path. It returns the zero Holder when
// there is none, or nothing to understand in it.
func ReadHolder(path string) Holder {
	var h Holder
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &h) != nil {
		return Holder{}
	}
	return h
}

// writeHolder writes into the lock, or empties it for the zero Holder. What fails
// here is missed only if the run directory goes.
func (s *supervisor) writeHolder(h Holder) {
	err := s.lock.Truncate(0)
	if err == nil && h != (Holder{}) {
		var b []byte
		if b, err = json.Marshal(h); err == nil {
			_, err = s.lock.WriteAt(append(b, '\n'), 0)
		}
	}
	if err != nil {
		s.log.Warn("write into the live lock", "error", err)
	}
}

// listen opens the sockets in dir and writes the status beside them, in place of
// those there were. The caller holds s.mu.
func (s *supervisor) listen(dir string) error {
	s.closeSockets()
	at := paths.Container{Run: dir}
	attach, err := unixsock.Listen(at.AttachSocket())
	if err != nil {
		return err
	}
	agent, err := unixsock.Listen(at.AgentSocket())
	if err != nil {
		return errors.Join(err, attach.Close())
	}
	s.runDir, s.attachSocket, s.agentSocket = dir, attach, agent
	s.writeHolder(Holder{MonitorPID: s.pid, RunDir: dir})
	return writeJSON(at.Status(), s.status, false)
}

// closeSockets closes the sockets, if they are open, and removes them with the
// status. The caller holds s.mu.
func (s *supervisor) closeSockets() {
	if s.runDir == "" {
		return
	}
	s.attachSocket.Close()
	s.agentSocket.Close()
	at := paths.Container{Run: s.runDir}
	for _, path := range []string{at.Status(), at.AttachSocket(), at.AgentSocket()} {
		_ = os.Remove(path) // what is left is replaced at the next start
	}
	s.runDir = ""
}

// serve serves the sockets until they are closed.
func (s *supervisor) serve(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runDir != "" {
		go s.serveAttach(ctx, s.attachSocket)
		go s.serveAgent(ctx, s.agentSocket)
	}
}

// mindRunDir answers RenewSignal until ctx ends. Connections there are last.
func (s *supervisor) mindRunDir(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.renewals:
		}
		renewed, err := s.renew()
		if err != nil {
			s.log.Error("serve beside the container's data", "error", err)
		}
		if renewed {
			s.serve(ctx)
		}
	}
}

// renew opens sockets beside the container's data when the run directory has
// gone, and reports whether they are to be served.
func (s *supervisor) renew() (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, nil
	}
	at := paths.Container{Run: s.runDir}
	var gone error
	for _, path := range []string{at.Status(), at.AttachSocket(), at.AgentSocket()} {
		_, err := os.Lstat(path)
		gone = errors.Join(gone, err)
	}
	if gone == nil && s.runDir != "" {
		return false, nil
	}
	s.log.Warn("the run directory has gone: serving beside the container's data", "error", gone)
	err := s.listen(s.files.Data)
	return s.runDir != "", err
}
