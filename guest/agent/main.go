// Command agent is PID 1 of every machine: it makes the machine fit for
// containers, waits for the host on a virtio-serial port and runs what the host
// asks for. It is started by the kernel alone, out of the initramfs; see README.md
// and, for what it is told, pkg/agentproto.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/boot"
	"vpod/guest/agent/internal/channel"
	"vpod/guest/agent/internal/device"
	"vpod/guest/agent/internal/initproc"
	"vpod/guest/agent/internal/runner"
	"vpod/guest/agent/internal/service"
	"vpod/guest/agent/internal/stopwatch"
	"vpod/pkg/agentproto"
)

// init keeps the first thread for main, which does nothing with it: it stands for
// the whole process in /proc and must never be one that enters a container.
func init() { runtime.LockOSThread() }

func main() {
	if os.Args[0] == initproc.Name {
		os.Exit(initproc.Main(os.Args))
	}
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "vpod-agent: this is the first process of a vpod machine; it is of no use anywhere else")
		os.Exit(1)
	}
	failed := make(chan error, 1)
	go func() { failed <- run() }()
	logf("%v", <-failed)
	powerOff()
}

// logf writes to the machine's console.
func logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "vpod-agent: "+format+"\n", args...)
}

// parallelism is how many threads run Go code at once. More than one also with
// one processor: a thread that waits in the kernel would keep the others waiting.
const parallelism = 4

// portWait bounds the wait for the kernel to find the channel's port.
const portWait = 30 * time.Second

// run boots the machine and serves it for ever; it returns only with an error.
func run() error {
	watch := stopwatch.SinceBoot("boot the kernel")
	runtime.GOMAXPROCS(parallelism)
	if err := boot.Run(boot.Rows(), logf); err != nil {
		return err
	}
	watch.Lap("set the machine up")
	r, err := runner.New(runner.StateDir, logf)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), portWait)
	path, err := channel.Find(ctx, agentproto.PortName, device.Events{})
	cancel()
	if err != nil {
		return err
	}
	port, err := channel.OpenPort(path)
	if err != nil {
		return err
	}
	watch.Lap("find the channel to the host")
	link, server := channel.NewLink(port), service.New(r, watch, logf)
	for {
		conn, err := link.Accept()
		if err != nil {
			return err
		}
		if err := server.Serve(conn); err != nil {
			logf("%v", err)
		}
	}
}

// powerOff ends a machine that cannot be used. QEMU, started with -no-reboot, ends
// with it; the message above is on the console for the host to show.
func powerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
	select {}
}
