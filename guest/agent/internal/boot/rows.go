package boot

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/machine"
)

// The flags of most of the kernel's file systems.
const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// Rows returns the table of the boot, in order.
func Rows() []Row {
	return []Row{
		// pivot_root fails with EINVAL as long as the root is the kernel's rootfs.
		{"tmpfs as root", true, switchRoot},
		mount("proc", "/proc", "proc", quiet, ""),
		mount("sysfs", "/sys", "sysfs", quiet, ""),
		mount("devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0755"),
		mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
		mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"),
		mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"),
		// nsdelegate: a container's limits on itself are not its own to change.
		mount("cgroup2", "/sys/fs/cgroup", "cgroup2", quiet, "nsdelegate,memory_recursiveprot"),
		{"controllers for containers", true, enableControllers},
		optional(mount("binfmt_misc", "/proc/sys/fs/binfmt_misc", "binfmt_misc", quiet, "")),
		{"loopback", false, machine.LoopbackUp},
		{"resource limits", true, setLimits},
		{"quiet console", false, quietConsole},
		{"free memory", false, freeMemory},
	}
}

// freeMemory keeps freed pages out of the processors' own lists, where Linux would
// hold up to 54 MiB of 1 GiB back from the host: the larger the number, the shorter
// the lists (Documentation/admin-guide/sysctl/vm.rst).
func freeMemory() error {
	return os.WriteFile("/proc/sys/vm/percpu_pagelist_high_fraction", []byte("100000"), 0)
}

// consoleLevel lets the kernel's warnings through to the console, and what is worse.
const consoleLevel = 5

// quietConsole keeps what the kernel says in passing, as of each mount, in its log:
// the serial console costs an exit of the machine for every character.
func quietConsole() error {
	const setLevel = 8 // SYSLOG_ACTION_CONSOLE_LEVEL, syslog(2)
	if _, _, errno := unix.RawSyscall(unix.SYS_SYSLOG, setLevel, 0, consoleLevel); errno != 0 {
		return errno
	}
	return nil
}

// mount returns the row that mounts a file system, making its mount point.
func mount(source, target, fstype string, flags uintptr, data string) Row {
	return Row{fmt.Sprintf("mount %s on %s", fstype, target), true, func() error {
		if err := unix.Mkdir(target, 0o755); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.EPERM) {
			return err
		}
		return unix.Mount(source, target, fstype, flags, data)
	}}
}

func optional(r Row) Row {
	r.Required = false
	return r
}

// switchRoot puts a tmpfs over the kernel's rootfs, as switch_root(8) does.
// Nothing is copied: the agent is running already and finds itself as
// /proc/self/exe.
func switchRoot() error {
	const dir = "/sysroot"
	if err := unix.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
		return err
	}
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

const cgroupRoot = "/sys/fs/cgroup"

// enableControllers lets children of the root group use every controller.
func enableControllers() error {
	b, err := os.ReadFile(cgroupRoot + "/cgroup.controllers")
	if err != nil {
		return err
	}
	var on []string
	for c := range strings.FieldsSeq(string(b)) {
		on = append(on, "+"+c)
	}
	return os.WriteFile(cgroupRoot+"/cgroup.subtree_control", []byte(strings.Join(on, " ")), 0)
}

// defaultLimit is Podman's for open files and processes
// (libpod/define: RLimitDefaultValue).
const defaultLimit = 1 << 20

// setLimits sets the limits every process inherits that is given none.
func setLimits() error {
	l := unix.Rlimit{Cur: defaultLimit, Max: defaultLimit}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NPROC, &l); err != nil {
		return fmt.Errorf("processes: %w", err)
	}
	return nil
}
