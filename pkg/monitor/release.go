package monitor

import (
	"os"
	"os/exec"
	"syscall"
)

// discardDisk removes the writable disk of a container that is about to be removed,
// and that nobody can start while the liveness lock is held. Its blocks are given
// back when the file returned is closed, which may be after everybody has been told of
// the end: it takes the file system 10 to 20 ms. The file is nil when there is nothing
// to close.
func (s *supervisor) discardDisk(out outcome) *os.File {
	if !s.c.AutoRemove || out.neverRan {
		return nil // what never ran stays as it was
	}
	f, err := os.Open(s.files.Scratch())
	if err != nil {
		return nil // it has none
	}
	if err := os.Remove(f.Name()); err != nil {
		s.log.Warn("remove the scratch disk", "error", err)
	}
	return f
}

// promised reports whether a client that said it would remove the container has
// been told of its end. One that was killed before it read that has not.
func promised(told []*client) bool {
	for _, c := range told {
		if c.hello.Removes && c.clean && !c.queue.wasLost() {
			return true
		}
	}
	return false
}

// release starts the command that removes an AutoRemove container, or lets go of
// what the host holds for one that stays. It is the
// monitor's last act: the command needs the lock the monitor has let go of, and
// nobody waits for it.
func (s *supervisor) release() {
	if len(s.launch.ReleaseCommand) == 0 {
		return
	}
	cmd := exec.Command(s.launch.ReleaseCommand[0], s.launch.ReleaseCommand[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		s.log.Error("remove container", "error", err)
		return
	}
	_ = cmd.Process.Release()
}
