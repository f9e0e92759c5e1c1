package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reaper starts processes and is the only one that waits for them, and for every
// orphan among their descendants: what the programs leave in the background becomes
// a child of ours, so that the process tree shows it, its processor time is counted
// when it ends, and clean-up finds it.
type reaper struct {
	mu      sync.Mutex
	waiting map[int]chan ended // by pid
	started chan struct{}      // told when there may be children again
	cpu     time.Duration      // of all that was waited for
}

// ended is how a process ended.
type ended struct {
	status syscall.WaitStatus
	cpu    time.Duration // of itself and of the children it has waited for
	at     time.Time
}

// newReaper makes this process the parent of its descendants' orphans.
func newReaper() (*reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("adopt orphans: %w", err)
	}
	r := &reaper{waiting: map[int]chan ended{}, started: make(chan struct{}, 1)}
	go r.loop()
	return r, nil
}

// loop lives as long as the program. A child is collected under the lock: whoever
// does not see it any more finds its time in total.
func (r *reaper) loop() {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil: // no children
			<-r.started
			continue
		}
		r.mu.Lock()
		var status syscall.WaitStatus
		var usage syscall.Rusage
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, &usage)
		if err == nil && pid > 0 {
			cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
			r.cpu += cpu
			if done, ok := r.waiting[pid]; ok {
				delete(r.waiting, pid)
				done <- ended{status: status, cpu: cpu, at: time.Now()}
			}
		}
		r.mu.Unlock()
	}
}

// total is the processor time of everything that has ended so far.
func (r *reaper) total() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cpu
}

// process is one that start started.
type process struct {
	handle *os.Process
	done   chan ended
	began  time.Time
}

// start runs a command in a process group of its own, away from the terminal's
// Ctrl-C. Files are its descriptors 0 to 2.
func (r *reaper) start(argv, env []string, files [3]*os.File) (*process, error) {
	r.mu.Lock()
	defer r.mu.Unlock() // the loop must not see its end before it is known
	p := &process{done: make(chan ended, 1), began: time.Now()}
	var err error
	p.handle, err = os.StartProcess(argv[0], argv, &os.ProcAttr{Env: env, Files: files[:], Sys: &syscall.SysProcAttr{Setpgid: true}})
	if err != nil {
		return nil, err
	}
	r.waiting[p.handle.Pid] = p.done
	select {
	case r.started <- struct{}{}:
	default:
	}
	return p, nil
}

// wait returns when the process has ended. When ctx is done first it is asked to
// end, and later made to.
func (p *process) wait(ctx context.Context) (ended, error) {
	defer func() { _ = p.handle.Release() }()
	select {
	case e := <-p.done:
		return e, nil
	case <-ctx.Done():
	}
	_ = p.handle.Signal(syscall.SIGTERM) // it may have ended just now
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.handle.Kill()
		<-p.done
	}
	return ended{}, ctx.Err()
}
