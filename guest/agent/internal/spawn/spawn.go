// Package spawn starts a process with the fewest instructions it can: one clone
// that shares the agent's memory (vfork), a list of system calls prepared
// beforehand, one execve. It knows nothing of containers; the caller has put the
// calling thread into the namespaces and the root the process is to live in.
//
// Why not os/exec: between its clone and its execve nothing can be inserted, so
// limits, capabilities and a seccomp filter would need another start of this
// program in between, 10 ms in an emulated machine; and with a filter loaded
// before the clone, clone3, needed to start in a control group, is refused by
// Podman's default profile.
//
// Only guest/agent calls it.
package spawn

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"
)

// Command describes the process. The zero value of an optional field asks for
// nothing; descriptors that are not used must be -1. Paths are resolved in the
// calling thread's root, with the command's rights.
type Command struct {
	Args  []string // at least one
	Env   []string
	Paths []string // files to try to execute, in order; see Lookup
	Dir   string   // changed to with the command's rights; "" stays

	ExecFD      int    // execute this file in place of Paths, or -1
	Stdio       [3]int // descriptors above 2
	KeepFD      int    // one more descriptor to hand over, under its number, or -1
	Terminal    bool   // Stdio[0] becomes the controlling terminal
	CgroupFD    int    // directory of a version 2 control group to start in, or -1
	NewCgroupNS bool   // root a control group namespace there
	CgroupNSOf  int    // join that of the process with this pidfd, or -1
	Mounts      []Mount

	Rlimits     []Rlimit
	OOMScoreAdj *int
	ProcFD      int // the agent's /proc; needed with OOMScoreAdj
	Scheduling  Scheduling
	Umask       uint32

	UID, GID        uint32
	Groups          []uint32
	Capabilities    Capabilities
	NoNewPrivileges bool
	Seccomp         []byte // array of struct sock_filter; empty loads none
}

// Rlimit is one resource limit; values are as setrlimit(2) takes them.
type Rlimit struct {
	Resource   int // RLIMIT_*
	Soft, Hard uint64
}

// Step is where a start failed.
type Step string

// The steps a child goes through.
const (
	StepClone        Step = "clone"
	StepNamespace    Step = "control group namespace"
	StepMount        Step = "mount on"
	StepStdio        Step = "standard streams"
	StepTerminal     Step = "controlling terminal"
	StepRlimit       Step = "resource limits"
	StepOOMScore     Step = "oom score"
	StepScheduling   Step = "scheduling"
	StepUmask        Step = "umask"
	StepCapabilities Step = "capabilities"
	StepCredentials  Step = "credentials"
	StepDir          Step = "working directory"
	StepSeccomp      Step = "seccomp filter"
	StepExec         Step = "execute"
)

// Error reports a start that failed in the kernel.
type Error struct {
	Step  Step
	Path  string // the file, for StepExec; the directory, for StepDir and StepMount
	Errno syscall.Errno
}

func (e *Error) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("%s %s: %v", e.Step, e.Path, e.Errno)
	}
	return fmt.Sprintf("%s: %v", e.Step, e.Errno)
}

func (e *Error) Unwrap() error { return e.Errno }

// Start starts the command and returns its process id and a pidfd the caller
// owns. It returns once execve has succeeded or the child has given up; then the
// error is an *Error and the dead child is left to the reaper.
func (c *Command) Start() (pid, pidfd int, err error) {
	if len(c.Args) == 0 {
		return 0, -1, errors.New("no command")
	}
	p, err := c.compile()
	if err != nil {
		return 0, -1, err
	}
	pid, errno := p.clone()
	if errno != 0 {
		return 0, -1, &Error{Step: StepClone, Errno: errno}
	}
	if p.failed < 0 {
		return pid, int(p.pidfd), nil
	}
	if p.pidfd >= 0 {
		_ = syscall.Close(int(p.pidfd))
	}
	return 0, -1, p.failure(c)
}

// failure turns what the child has noted into an error.
func (p *program) failure(c *Command) error {
	e := &Error{Step: p.calls[p.failed].step, Path: p.calls[p.failed].note, Errno: p.errno}
	switch e.Step {
	case StepDir:
		e.Path = c.Dir
	case StepExec:
		first := len(p.calls) - len(p.paths)
		at := p.failed
		// Of all candidates, one that exists and may not be run tells more than
		// the last that does not exist.
		if p.denied >= 0 && (e.Errno == syscall.ENOENT || e.Errno == syscall.ENOTDIR) {
			at, e.Errno = p.denied, syscall.EACCES
		}
		e.Path = p.paths[at-first]
	}
	return e
}

// Lookup returns the files a command name may mean: itself when it holds a
// slash, else one per directory of the PATH in env, the last PATH winning. An
// empty entry of PATH is the working directory.
func Lookup(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	dirs := defaultPath
	for _, v := range env {
		if p, ok := strings.CutPrefix(v, "PATH="); ok {
			dirs = p
		}
	}
	var files []string
	for dir := range strings.SplitSeq(dirs, ":") {
		if dir == "" {
			dir = "."
		}
		file := path.Join(dir, name)
		if !strings.Contains(file, "/") {
			file = "./" + file
		}
		files = append(files, file)
	}
	return files
}

// defaultPath is Podman's, for images that set none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
