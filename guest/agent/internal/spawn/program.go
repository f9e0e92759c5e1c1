package spawn

import (
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kind says what a failing call means to the child.
type kind uint8

const (
	must     kind = iota // the start fails
	onResult             // as must; the first argument is the previous call's result
	attempt              // an execve: ENOENT, ENOTDIR and EACCES lead to the next one
	ifKnown              // EINVAL, from a kernel that does not know the argument, is no failure
)

// call is one system call of the child. Its pointer arguments are kept alive by
// program.keep.
type call struct {
	step Step
	kind kind
	note string // for the error: what the call was about
	nr   uintptr
	args [6]uintptr
}

// cloneArgs is struct clone_args of linux/sched.h.
type cloneArgs struct {
	flags, pidFD, childTID, parentTID, exitSignal, stack, stackSize, tls, setTID, setTIDSize, cgroup uint64
}

// program is a Command turned into system calls. It is computed in full before
// the fork; the child only goes through the list.
type program struct {
	args  cloneArgs
	pidfd int32
	calls []call
	keep  []any
	paths []string // of the attempts, in order

	// Written by the child.
	failed int // index of the call that ended it, -1 when none did
	denied int // index of the last attempt that met EACCES, -1 when none did
	errno  syscall.Errno
}

func (p *program) add(step Step, nr uintptr, args ...uintptr) {
	c := call{step: step, nr: nr}
	copy(c.args[:], args)
	p.calls = append(p.calls, c)
}

// pointer keeps v, a pointer to heap memory, alive for the child.
func pointer[T any](p *program, v *T) uintptr {
	p.keep = append(p.keep, v)
	return uintptr(unsafe.Pointer(v))
}

func (p *program) cstring(s string) (uintptr, error) {
	b, err := unix.BytePtrFromString(s)
	if err != nil {
		return 0, fmt.Errorf("%q holds a zero byte", s)
	}
	return pointer(p, b), nil
}

func (p *program) cstrings(list []string) (uintptr, error) {
	v, err := syscall.SlicePtrFromStrings(list)
	if err != nil {
		return 0, fmt.Errorf("an argument or a variable holds a zero byte")
	}
	return pointer(p, &v[0]), nil
}

// compile turns c into the list of system calls. The order matters and is
// explained where it does.
func (c *Command) compile() (*program, error) {
	p := &program{failed: -1, denied: -1, pidfd: -1}
	p.args.flags = unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_PIDFD
	p.args.exitSignal = uint64(unix.SIGCHLD)
	p.args.pidFD = uint64(pointer(p, &p.pidfd))
	if c.CgroupFD >= 0 {
		p.args.flags |= unix.CLONE_INTO_CGROUP
		p.args.cgroup = uint64(c.CgroupFD)
	}

	// The child is in its control group from the first instruction, which is
	// what a new namespace is rooted at. An existing one is joined here as well:
	// from within it the clone into the group is refused (nsdelegate).
	if c.NewCgroupNS {
		p.add(StepNamespace, unix.SYS_UNSHARE, unix.CLONE_NEWCGROUP)
	}
	if c.CgroupNSOf >= 0 {
		p.add(StepNamespace, unix.SYS_SETNS, uintptr(c.CgroupNSOf), unix.CLONE_NEWCGROUP)
	}
	if err := p.addMounts(c.Mounts); err != nil {
		return nil, err
	}
	p.add(StepTerminal, unix.SYS_SETSID)
	for fd, from := range c.Stdio {
		p.add(StepStdio, unix.SYS_DUP3, uintptr(from), uintptr(fd), 0)
	}
	if c.Terminal {
		p.add(StepTerminal, unix.SYS_IOCTL, 0, unix.TIOCSCTTY, 0)
	}
	if c.KeepFD >= 0 {
		p.add(StepStdio, unix.SYS_FCNTL, uintptr(c.KeepFD), unix.F_SETFD, 0)
	}
	for i := range c.Rlimits {
		r := c.Rlimits[i]
		p.add(StepRlimit, unix.SYS_PRLIMIT64, 0, uintptr(r.Resource), pointer(p, &unix.Rlimit{Cur: r.Soft, Max: r.Hard}), 0)
	}
	if err := p.addOOMScore(c); err != nil {
		return nil, err
	}
	p.addScheduling(c.Scheduling)
	p.add(StepUmask, unix.SYS_UMASK, uintptr(c.Umask))
	p.addCredentials(c)
	if c.Dir != "" {
		dir, err := p.cstring(c.Dir)
		if err != nil {
			return nil, err
		}
		p.add(StepDir, unix.SYS_CHDIR, dir)
	}
	if c.NoNewPrivileges {
		p.add(StepCredentials, unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1)
	}
	if err := p.addSeccomp(c); err != nil {
		return nil, err
	}
	return p, p.addExec(c)
}

// addOOMScore writes the score to the child's file in the agent's own /proc:
// the container may have none. The kernel does not carry a score written between
// vfork and execve over to the parent.
func (p *program) addOOMScore(c *Command) error {
	if c.OOMScoreAdj == nil {
		return nil
	}
	path, err := p.cstring("self/oom_score_adj")
	if err != nil {
		return err
	}
	text := fmt.Appendf(nil, "%d", *c.OOMScoreAdj)
	p.add(StepOOMScore, unix.SYS_OPENAT, uintptr(c.ProcFD), path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	p.calls = append(p.calls, call{step: StepOOMScore, kind: onResult, nr: unix.SYS_WRITE,
		args: [6]uintptr{0, pointer(p, &text[0]), uintptr(len(text))}})
	return nil // the descriptor goes with execve
}

func (p *program) addSeccomp(c *Command) error {
	if len(c.Seccomp) == 0 {
		return nil
	}
	prog, err := filterProgram(c.Seccomp)
	if err != nil {
		return err
	}
	p.keep = append(p.keep, c.Seccomp)
	// The very last step before execve: whatever the filter refuses, nothing but
	// execve meets it.
	p.add(StepSeccomp, unix.SYS_SECCOMP, seccompSetModeFilter, 0, pointer(p, prog))
	return nil
}

func (p *program) addExec(c *Command) error {
	argv, err := p.cstrings(c.Args)
	if err != nil {
		return err
	}
	envv, err := p.cstrings(c.Env)
	if err != nil {
		return err
	}
	if c.ExecFD >= 0 {
		empty, err := p.cstring("")
		if err != nil {
			return err
		}
		p.add(StepExec, unix.SYS_EXECVEAT, uintptr(c.ExecFD), empty, argv, envv, unix.AT_EMPTY_PATH)
		p.paths = []string{c.Args[0]}
		return nil
	}
	for _, path := range c.Paths {
		file, err := p.cstring(path)
		if err != nil {
			return err
		}
		p.calls = append(p.calls, call{step: StepExec, kind: attempt, nr: unix.SYS_EXECVE, args: [6]uintptr{file, argv, envv}})
	}
	p.paths = c.Paths
	return nil
}
