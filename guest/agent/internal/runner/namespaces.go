package runner

import (
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/machine"
)

// namespaces says which namespaces a container gets.
type namespaces struct {
	create uintptr // CLONE_NEW* to be made; the others are the machine's
	join   []joined
}

// joined is a namespace that exists, as that of another container.
type joined struct {
	flag int
	path string // in the machine, as "/proc/12/ns/net"
}

// namespaceFlags are those that can be had.
var namespaceFlags = []constant[specs.LinuxNamespaceType, int]{
	{specs.PIDNamespace, unix.CLONE_NEWPID},
	{specs.NetworkNamespace, unix.CLONE_NEWNET},
	{specs.MountNamespace, unix.CLONE_NEWNS},
	{specs.IPCNamespace, unix.CLONE_NEWIPC},
	{specs.UTSNamespace, unix.CLONE_NEWUTS},
	{specs.CgroupNamespace, unix.CLONE_NEWCGROUP},
}

// defaultNamespaces are those of a configuration without a Linux section. The
// network is the machine's: it is the container's own already.
const defaultNamespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// parseNamespaces reads the configuration. The mount namespace is always a new
// one: there is no root to share.
func parseNamespaces(l *specs.Linux) (namespaces, error) {
	if l == nil {
		return namespaces{create: defaultNamespaces}, nil
	}
	ns := namespaces{create: unix.CLONE_NEWNS}
	seen := make(map[specs.LinuxNamespaceType]bool)
	for _, n := range l.Namespaces {
		flag, ok := value(namespaceFlags, n.Type)
		if !ok {
			return ns, fmt.Errorf("a %q namespace cannot be had: the machine is the container's own", n.Type)
		}
		if seen[n.Type] {
			return ns, fmt.Errorf("namespace %q is listed twice", n.Type)
		}
		seen[n.Type] = true
		switch {
		case n.Path == "":
			ns.create |= uintptr(flag)
		case n.Type == specs.MountNamespace || n.Type == specs.CgroupNamespace:
			return ns, fmt.Errorf("the %s namespace %s cannot be joined: every container has its own root and control group", n.Type, n.Path)
		default:
			ns.join = append(ns.join, joined{flag, n.Path})
		}
	}
	return ns, nil
}

// has reports whether the container has a namespace of its own, or another
// container's.
func (ns namespaces) has(flag int) bool {
	if ns.create&uintptr(flag) != 0 {
		return true
	}
	for _, j := range ns.join {
		if j.flag == flag {
			return true
		}
	}
	return false
}

// enter puts the calling thread into the namespaces, but for the control group
// namespace, which the process makes or joins itself. Children of the thread are the first
// in a new pid namespace; /proc mounted by the thread shows that one.
func (ns namespaces) enter() error {
	for _, j := range ns.join {
		fd, err := unix.Open(j.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("join namespace: %w", err)
		}
		err = unix.Setns(fd, j.flag)
		_ = unix.Close(fd)
		if err != nil {
			return fmt.Errorf("join namespace %s: %w", j.path, err)
		}
	}
	flags := ns.create &^ unix.CLONE_NEWCGROUP
	if err := unix.Unshare(int(flags)); err != nil {
		return fmt.Errorf("make namespaces: %w", err)
	}
	if flags&unix.CLONE_NEWNET != 0 {
		if err := machine.LoopbackUp(); err != nil {
			return fmt.Errorf("loopback of the new network namespace: %w", err)
		}
	}
	return nil
}

// all is what a thread joins by the first process's pidfd for a further one.
func (ns namespaces) all() int {
	flags := int(ns.create)
	for _, j := range ns.join {
		flags |= j.flag
	}
	return flags &^ unix.CLONE_NEWCGROUP
}
