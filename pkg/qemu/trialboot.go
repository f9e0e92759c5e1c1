package qemu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bootedMarks are what the kernel prints when it has come far enough to run programs. Without an initramfs it stops
// at the missing root file system, which is as far.
var bootedMarks = [][]byte{
	[]byte("Run /init as init process"),
	[]byte("VFS: Unable to mount root fs"),
}

// consoleTail is how much of a trial's console is searched and reported.
const consoleTail = 16 << 10

// StartFunc starts QEMU with arguments and donated descriptors, which it does not close. The process must not outlive
// this one, however that ends (see package sidecar).
type StartFunc func(ctx context.Context, args []string, files []*os.File) (Process, error)

// Process is a started QEMU.
type Process interface {
	Kill()                          // returns once it is gone
	Wait(ctx context.Context) error // how it ended: nil for status 0
	Stderr() string                 // the end of what it wrote to standard error
}

// TrialBoot returns a function for ProbeKVM that boots machine with the QEMU of start and watches its serial console. It
// needs the kernel, its initramfs and little memory; disks, shares and network are left out, and the boot ends as soon
// as the kernel is about to run its first process. By then page tables, interrupts, timers and decompression have
// worked, which is what broken KVMs fail at.
func TrialBoot(start StartFunc, machine Machine) func(context.Context) error {
	return func(ctx context.Context) error {
		machine.Disks, machine.Shares, machine.NIC = nil, nil, nil
		machine.Incoming, machine.MemoryPath, machine.Paused = "", "", false
		machine.QMPFD, machine.AgentFD = 0, 0
		machine.CPUs, machine.MaxCPUs = 1, 1
		// Every line, down to the one that names the first process.
		machine.KernelArgs = append(append([]string{}, machine.KernelArgs...), "ignore_loglevel")
		return trialBoot(ctx, start, machine)
	}
}

func trialBoot(ctx context.Context, start StartFunc, machine Machine) (err error) {
	console, theirs, err := socketPair("console")
	if err != nil {
		return fmt.Errorf("trial boot: %w", err)
	}
	defer console.Close()
	var files Files
	machine.ConsoleFD = files.Donate(theirs)
	args, err := machine.Args()
	if err != nil {
		files.Close()
		return err
	}
	p, err := start(ctx, args, files.List())
	files.Close()
	if err != nil {
		return err
	}
	// The console closes when QEMU ends: by itself, or killed at the deadline.
	stop := context.AfterFunc(ctx, p.Kill)
	defer stop()
	booted, tail := watchConsole(console)
	if booted || ctx.Err() != nil {
		p.Kill()
	}
	if booted {
		return nil
	}
	if ended := p.Wait(context.WithoutCancel(ctx)); ended != nil && p.Stderr() != "" {
		return errors.New(lastLine(p.Stderr()))
	}
	if line := lastLine(tail); line != "" {
		return fmt.Errorf("its last words were %q", line)
	}
	return errors.New("the kernel said nothing")
}

// watchConsole reads until a mark of success or the end, and returns the last part of what it read.
func watchConsole(console io.Reader) (booted bool, last string) {
	var seen []byte
	chunk := make([]byte, 4096)
	for {
		n, err := console.Read(chunk)
		seen = append(seen, chunk[:n]...)
		for _, mark := range bootedMarks {
			if bytes.Contains(seen, mark) {
				return true, string(seen)
			}
		}
		if over := len(seen) - consoleTail; over > 0 {
			seen = seen[over:]
		}
		if err != nil {
			return false, string(seen)
		}
	}
}

// lastLine is the last line with text in it, shortened, without control characters.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	line := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, lines[len(lines)-1])
	const limit = 200
	if len(line) > limit {
		line = line[:limit] + "…"
	}
	return line
}

// socketPair returns two connected stream sockets that are not inherited by accident. Ours is pollable: closing it
// ends a blocked Read.
func socketPair(name string) (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair for %s: %w", name, err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("socket pair for %s: %w", name, err), unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name), nil
}
