// Package initproc is the small init a container can ask for (--init): the
// agent's own executable, started as the container's first process, which starts
// the command, passes signals on, collects orphans and ends as the command does.
//
// main runs it when the program is called by Name; package runner reads its
// report.
package initproc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
)

// Name is the first argument of the small init; ps shows it in the container. Then
// come the number of the descriptor for the report, "--", and the command.
const Name = "/run/vpod-init"

// Main is the program of the small init; it returns its exit code.
func Main(args []string) int {
	runtime.GOMAXPROCS(1)
	if len(args) < 4 || args[2] != "--" {
		fmt.Fprintf(os.Stderr, "%s: to be started by the agent alone\n", Name)
		return 125
	}
	fd, err := strconv.Atoi(args[1])
	if err != nil {
		return 125
	}
	unix.CloseOnExec(fd)
	report := os.NewFile(uintptr(fd), "report")
	// Before the command is there to be signalled.
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	pid, err := start(args[3:])
	if err != nil {
		writeReport(report, err)
		return 125
	}
	_ = report.Close() // nothing to report
	go pass(signals, pid)
	return reap(pid)
}

// start starts the command in a process group of its own, in the foreground of the
// terminal when there is one.
func start(args []string) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if _, err := unix.IoctlGetInt(0, unix.TIOCGPGRP); err == nil {
		attr.Sys.Foreground, attr.Sys.Ctty = true, 0
	}
	failure := &spawn.Error{Step: spawn.StepExec, Errno: syscall.ENOENT}
	for _, path := range spawn.Lookup(args[0], attr.Env) {
		pid, err = syscall.ForkExec(path, args, attr)
		if err == nil {
			return pid, nil
		}
		var errno syscall.Errno
		if !errors.As(err, &errno) {
			return 0, err
		}
		// As execvp(3): what exists and may not be run tells more than what does
		// not exist; anything else is told at once.
		if failure.Errno != syscall.EACCES || errno == syscall.EACCES {
			failure.Path = path
			if errno != syscall.ENOTDIR {
				failure.Errno = errno
			}
		}
		if errno != syscall.ENOENT && errno != syscall.ENOTDIR && errno != syscall.EACCES {
			break
		}
	}
	return 0, failure
}

// pass passes every signal on, but those that are the init's own affair.
func pass(signals <-chan os.Signal, pid int) {
	for s := range signals {
		switch s {
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGTTIN, syscall.SIGTTOU:
			// SIGURG is the Go runtime's.
		default:
			if sig, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(pid, sig)
			}
		}
	}
}

// reap collects children until the command has ended and returns its exit code.
func reap(pid int) int {
	for {
		var ws unix.WaitStatus
		got, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR) || got != pid && err == nil:
			continue
		case err != nil:
			return 125
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

// maxReport bounds a report, in bytes: it comes from inside the container.
const maxReport = 8 << 10

// reportWait bounds the wait for the report.
const reportWait = 60 * time.Second

func writeReport(w io.Writer, err error) {
	var e *spawn.Error
	if !errors.As(err, &e) {
		_, _ = fmt.Fprintf(w, "0 %v", err)
		return
	}
	_, _ = fmt.Fprintf(w, "%d %s", int(e.Errno), e.Path)
}

// ReadReport waits until the init has started its command. The error is a
// *spawn.Error when the command could not be executed.
func ReadReport(r *os.File) error {
	_ = r.SetReadDeadline(time.Now().Add(reportWait))
	b, err := io.ReadAll(io.LimitReader(r, maxReport))
	if err != nil {
		return fmt.Errorf("wait for the small init: %w", err)
	}
	if len(b) == 0 {
		return nil
	}
	code, text, _ := strings.Cut(string(b), " ")
	errno, err := strconv.ParseUint(code, 10, 12)
	if err != nil || errno == 0 {
		return fmt.Errorf("small init: %q", text)
	}
	return &spawn.Error{Step: spawn.StepExec, Path: text, Errno: syscall.Errno(errno)}
}
