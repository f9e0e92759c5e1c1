package reaper

import (
	"errors"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// shell forks sh -c script.
func shell(script string) func() (int, error) {
	return func() (int, error) {
		return syscall.ForkExec("/bin/sh", []string{"sh", "-c", script}, &syscall.ProcAttr{Env: []string{"PATH=/bin:/usr/bin"}})
	}
}

// The tests share one Reaper, as there may be one only in a process.
func TestReaper(t *testing.T) {
	r := New()

	t.Run("statuses", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				script := "exit " + string(rune('0'+i%10))
				ended := false
				c, err := r.Start(shell(script), func() { ended = true })
				if err != nil {
					t.Error(err)
					return
				}
				<-c.Done()
				if ws, at := c.Status(); ws.ExitStatus() != i%10 || at.IsZero() || !ended {
					t.Errorf("%q: status %v at %v, told: %t", script, ws, at, ended)
				}
			})
		}
		wg.Wait()
	})

	t.Run("signal", func(t *testing.T) {
		c, err := r.Start(shell("sleep 60"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Signal(unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if ws, _ := c.Status(); ws.Signal() != unix.SIGKILL {
			t.Errorf("status = %v, want killed", ws)
		}
		if err := c.Signal(unix.SIGKILL); !errors.Is(err, ErrEnded) {
			t.Errorf("Signal after the end = %v, want ErrEnded", err)
		}
	})

	t.Run("failed fork", func(t *testing.T) {
		want := errors.New("no")
		if _, err := r.Start(func() (int, error) { return 0, want }, nil); !errors.Is(err, want) {
			t.Errorf("Start = %v, want %v", err, want)
		}
	})

	t.Run("unknown children are collected", func(t *testing.T) {
		pid, err := shell("exit 3")()
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Start(shell("sleep 0.2"), nil) // wakes the reaper
		if err != nil {
			t.Fatal(err)
		}
		<-c.Done()
		if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
			t.Errorf("kill of the unknown child = %v, want ESRCH", err)
		}
	})
}
