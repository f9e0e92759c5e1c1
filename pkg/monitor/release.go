package monitor

import (
	"os/exec"
	"syscall"
)

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
