package runner

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/identity"
	"vpod/guest/agent/internal/initproc"
	"vpod/guest/agent/internal/mounts"
	"vpod/guest/agent/internal/spawn"
	"vpod/pkg/agentproto"
)

// launch is one process on its way. Its methods are called in order: check
// anywhere, the others on a thread inside the container.
type launch struct {
	container *Container
	spec      *agentproto.Process
	first     bool // the container's first process

	hostname, domainname string // of a new container
	volumes              []string
	readOnly             bool // its root

	cmd     spawn.Command
	streams *streams
	report  *os.File // read end of the small init's report; nil without it
	reportW int      // write end, for the child
}

// check turns what does not depend on the container into the command.
func (l *launch) check() (err error) {
	p := &l.spec.OCI
	switch {
	case len(p.Args) == 0 || p.Args[0] == "":
		return errors.New("no command")
	case p.Cwd != "" && !path.IsAbs(p.Cwd):
		return fmt.Errorf("working directory %q is not absolute", p.Cwd)
	case p.ApparmorProfile != "":
		return fmt.Errorf("AppArmor profile %q: the guest kernel has no AppArmor", p.ApparmorProfile)
	case p.SelinuxLabel != "":
		return fmt.Errorf("SELinux label %q: the guest kernel has no SELinux", p.SelinuxLabel)
	case p.OOMScoreAdj != nil && (*p.OOMScoreAdj < -1000 || *p.OOMScoreAdj > 1000):
		return fmt.Errorf("oom score %d is not within -1000 and 1000", *p.OOMScoreAdj)
	}
	l.reportW = -1
	l.cmd = spawn.Command{
		Args: p.Args, Dir: p.Cwd, ExecFD: -1, KeepFD: -1, CgroupNSOf: -1,
		CgroupFD:    l.container.group.FD(),
		NewCgroupNS: l.first && l.container.ns.create&unix.CLONE_NEWCGROUP != 0,
		Terminal:    p.Terminal, OOMScoreAdj: p.OOMScoreAdj, ProcFD: l.container.runner.procFD,
		Umask: 0o022, NoNewPrivileges: p.NoNewPrivileges, Seccomp: l.spec.Seccomp,
	}
	if !l.first && l.container.ns.has(unix.CLONE_NEWCGROUP) {
		l.cmd.CgroupNSOf = l.container.init.pidfd
	}
	if l.cmd.Dir == "" {
		l.cmd.Dir = "/"
	}
	if u := p.User.Umask; u != nil {
		l.cmd.Umask = *u & 0o777
	}
	if l.cmd.Capabilities, err = parseCapabilities(p.Capabilities); err != nil {
		return err
	}
	if l.cmd.Rlimits, err = parseRlimits(p.Rlimits); err != nil {
		return err
	}
	return l.checkScheduling()
}

func (l *launch) checkScheduling() (err error) {
	p, s := &l.spec.OCI, &l.cmd.Scheduling
	if s.Attr, err = parseScheduler(p.Scheduler); err != nil {
		return err
	}
	if s.IOPriority, err = parseIOPriority(p.IOPriority); err != nil {
		return err
	}
	if !l.first {
		s.Affinity, err = parseAffinity(p.ExecCPUAffinity)
	}
	s.Personality, s.Memory = l.container.personality, l.container.memory
	return err
}

// setNames sets the host and domain name of a new UTS namespace.
func (l *launch) setNames() error {
	if l.hostname != "" {
		if err := unix.Sethostname([]byte(l.hostname)); err != nil {
			return fmt.Errorf("set host name %q: %w", l.hostname, err)
		}
	}
	if l.domainname != "" {
		if err := unix.Setdomainname([]byte(l.domainname)); err != nil {
			return fmt.Errorf("set domain name %q: %w", l.domainname, err)
		}
	}
	return nil
}

// furnish looks up the user, makes the volumes and the working directory of a first
// process, and opens the standard streams. It returns the path of the container's terminal, or
// "".
func (l *launch) furnish() (terminal string, err error) {
	if err := l.lookUpUser(); err != nil {
		return "", err
	}
	if l.first {
		if err := mounts.MakeVolumes(l.volumes, l.cmd.UID, l.cmd.GID, l.readOnly); err != nil {
			return "", err
		}
		if err := os.MkdirAll(l.cmd.Dir, 0o755); err != nil {
			if errors.Is(err, unix.ENOTDIR) {
				return "", failf(agentproto.ErrNotExecutable, "working directory `%s` exists in the container, but is not a directory", l.spec.OCI.Cwd)
			}
			return "", fmt.Errorf("make working directory: %w", err)
		}
	}
	if l.spec.OCI.Terminal {
		l.streams, terminal, err = openTerminal(l.container.runner.ptsFD, l.spec.OCI.ConsoleSize, l.spec.Stdin)
	} else {
		l.streams, err = openPipes(l.spec.Stdin)
	}
	if err != nil {
		return "", err
	}
	return terminal, l.streams.own(l.cmd.UID)
}

// lookUpUser settles user, groups and HOME.
func (l *launch) lookUpUser() error {
	u := l.spec.OCI.User
	spec := l.spec.User
	id := identity.Identity{UID: u.UID, GID: u.GID, Groups: u.AdditionalGids}
	var files identity.Files
	// Root with no group named is what an image without a user means: it gets its
	// groups from /etc/group, as with Podman.
	if spec == "" && u.UID == 0 && u.GID == 0 && len(u.AdditionalGids) == 0 {
		spec = "0"
	}
	switch {
	case spec != "":
		found, err := files.Lookup(spec, l.spec.Groups)
		if err != nil {
			return fail(agentproto.ErrNoUser, err)
		}
		id = found
	case len(l.spec.Groups) > 0:
		found, err := files.Lookup(fmt.Sprintf("%d:%d", u.UID, u.GID), l.spec.Groups)
		if err != nil {
			return fail(agentproto.ErrNoUser, err)
		}
		id.Groups = append(id.Groups[:len(id.Groups):len(id.Groups)], found.Groups...)
		id.Home = found.Home
	default:
		id.Home = files.Home(u.UID)
	}
	l.cmd.UID, l.cmd.GID, l.cmd.Groups = id.UID, id.GID, id.Groups
	l.cmd.Env = withHome(l.spec.OCI.Env, id.Home)
	return nil
}

// withHome adds HOME unless it is there.
func withHome(env []string, home string) []string {
	for _, v := range env {
		if strings.HasPrefix(v, "HOME=") {
			return env
		}
	}
	return append(env[:len(env):len(env)], "HOME="+home)
}

// start starts the process and hands its streams over.
func (l *launch) start(id string) (_ *Process, err error) {
	defer func() {
		if err != nil {
			l.abandon()
			err = l.explain(err)
		}
	}()
	l.cmd.Stdio = l.streams.child
	l.cmd.Paths = spawn.Lookup(l.cmd.Args[0], l.cmd.Env)
	if l.spec.Init {
		if err := l.underInit(); err != nil {
			return nil, err
		}
	}
	p := &Process{ID: id, container: l.container, done: make(chan struct{})}
	if !l.first {
		p.oomBefore = l.container.group.OOMKills()
	}
	p.child, err = l.container.runner.reaper.Start(func() (int, error) {
		pid, pidfd, err := l.cmd.Start()
		if errors.Is(err, unix.EBUSY) && !l.first {
			pid, pidfd, err = l.startBesideFirst()
		}
		p.pidfd = pidfd
		return pid, err
	}, nil)
	if err != nil {
		return nil, err
	}
	l.streams.closeChild()
	if err := l.awaitInit(); err != nil {
		_ = p.child.Signal(unix.SIGKILL)
		_ = unix.Close(p.pidfd)
		return nil, err
	}
	p.take(l.streams)
	go p.await()
	return p, nil
}

// startBesideFirst starts the process in the control group the first one is in
// now: one that has divided its group among groups of its own (systemd does) may
// hold no process in it any more.
func (l *launch) startBesideFirst() (pid, pidfd int, err error) {
	dir, err := l.container.groupOfFirst()
	if err != nil {
		return 0, -1, err
	}
	defer func() { _ = unix.Close(dir) }()
	cmd := l.cmd
	cmd.CgroupFD = dir
	return cmd.Start()
}

// underInit makes the command run under the agent's small init.
func (l *launch) underInit() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return err
	}
	l.report, l.reportW = os.NewFile(uintptr(fds[0]), "init report"), fds[1]
	l.cmd.ExecFD, l.cmd.KeepFD = l.container.runner.exeFD, l.reportW
	l.cmd.Args = append([]string{initproc.Name, strconv.Itoa(l.reportW), "--"}, l.spec.OCI.Args...)
	return nil
}

// awaitInit waits until the small init has started the command.
func (l *launch) awaitInit() error {
	if l.report == nil {
		return nil
	}
	_ = unix.Close(l.reportW)
	l.reportW = -1
	err := initproc.ReadReport(l.report)
	_ = l.report.Close()
	l.report = nil
	return err
}

// abandon closes what a process that was not started would have used.
func (l *launch) abandon() {
	if l.report != nil {
		_ = l.report.Close()
	}
	if l.reportW >= 0 {
		_ = unix.Close(l.reportW)
	}
	l.report, l.reportW = nil, -1
	if l.streams != nil {
		l.streams.close()
		l.streams = nil
	}
}

// explain turns a failed start into what the host is told. The words for commands
// that are missing or cannot be run are those Podman's users know.
func (l *launch) explain(err error) error {
	var e *spawn.Error
	if !errors.As(err, &e) {
		return err
	}
	name := l.spec.OCI.Args[0]
	switch e.Step {
	case spawn.StepExec:
		return explainExec(name, e)
	case spawn.StepDir:
		code := agentproto.ErrSetup
		switch {
		case errors.Is(e.Errno, unix.ENOENT):
			code = agentproto.ErrNotFound
		case errors.Is(e.Errno, unix.EACCES), errors.Is(e.Errno, unix.ENOTDIR):
			code = agentproto.ErrNotExecutable
		}
		return failf(code, "chdir to `%s`: %s", e.Path, describe(e.Errno))
	case spawn.StepClone:
		// A pid namespace whose first process is gone takes no more.
		if errors.Is(e.Errno, unix.ENOMEM) && !l.first && !l.container.running() {
			return failf(agentproto.ErrNoProcess, "container %s has ended", l.container.ID)
		}
	}
	return failf(agentproto.ErrSetup, "%s: %s", e.Step, describe(e.Errno))
}

func explainExec(name string, e *spawn.Error) error {
	switch {
	case errors.Is(e.Errno, unix.ENOENT), errors.Is(e.Errno, unix.ENOTDIR):
		if strings.Contains(name, "/") && exists(e.Path) {
			return failf(agentproto.ErrNotFound, "exec container process (missing interpreter or dynamic library?) `%s`: %s", name, describe(e.Errno))
		}
		return failf(agentproto.ErrNotFound, "executable file `%s` not found in $PATH: %s", name, describe(unix.ENOENT))
	default:
		return failf(agentproto.ErrNotExecutable, "exec container process `%s`: %s", name, describe(e.Errno))
	}
}

// exists runs on the container's thread.
func exists(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil
}

// describe is an error's text with a capital, as C programs print it.
func describe(e syscall.Errno) string {
	s := e.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}
