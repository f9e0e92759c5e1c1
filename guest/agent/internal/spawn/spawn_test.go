package spawn

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownCaps returns the capabilities the test itself has: it can pass on no others.
func ownCaps(t *testing.T) uint64 {
	t.Helper()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		t.Fatal(err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32
}

// command returns a command that runs script with sh, and a function that waits
// for it and returns what it wrote.
func command(t *testing.T, script string) (*Command, func(pid int) (string, unix.WaitStatus)) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	allCaps := ownCaps(t)
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = null.Close() })
	c := &Command{
		Args: []string{"sh", "-c", script}, Env: []string{"PATH=/nowhere:/bin:/usr/bin", "A=b"},
		ExecFD: -1, KeepFD: -1, CgroupFD: -1, CgroupNSOf: -1, Umask: 0o27,
		Stdio:        [3]int{int(null.Fd()), int(w.Fd()), int(w.Fd())},
		Capabilities: Capabilities{Bounding: allCaps, Effective: allCaps, Permitted: allCaps},
	}
	c.Paths = Lookup("sh", c.Env)
	return c, func(pid int) (string, unix.WaitStatus) {
		_ = w.Close()
		out, _ := io.ReadAll(r)
		var ws unix.WaitStatus
		if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
			t.Errorf("wait4: %v", err)
		}
		return string(out), ws
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: changes credentials")
	}
}

func TestStart(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	// The test's own directory alone: above it lies what is not ours to change.
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Command)
		script string
		want   string // every line must be in the output
	}{
		{"environment and umask", nil, "echo $A; umask", "b\n0027"},
		{"directory", func(c *Command) { c.Dir = "/usr" }, "pwd", "/usr"},
		{"credentials", func(c *Command) { c.UID, c.GID, c.Groups = 12, 34, []uint32{56, 78} },
			"id -u; id -g; id -G", "12\n34\n34 56 78"},
		{"session", nil, `test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader`, "leader"},
		{"capabilities of root", func(c *Command) {
			c.Capabilities = Capabilities{Bounding: 1<<unix.CAP_CHOWN | 1<<unix.CAP_KILL}
		}, "grep Cap /proc/$$/status", "CapPrm:\t0000000000000021\nCapEff:\t0000000000000021\nCapBnd:\t0000000000000021"},
		{"ambient capabilities", func(c *Command) {
			const kill = 1 << unix.CAP_KILL
			c.UID, c.GID = 12, 12
			c.Capabilities = Capabilities{Bounding: kill, Effective: kill, Permitted: kill, Inheritable: kill, Ambient: kill}
		}, "grep Cap /proc/$$/status", "CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapAmb:\t0000000000000020"},
		{"no new privileges", func(c *Command) { c.NoNewPrivileges = true }, "grep NoNewPrivs /proc/$$/status", "NoNewPrivs:\t1"},
		{"resource limits", func(c *Command) {
			c.Rlimits = []Rlimit{{unix.RLIMIT_NOFILE, 100, 200}, {unix.RLIMIT_CORE, 0, 0}}
		}, "ulimit -Sn; ulimit -Hn; ulimit -c", "100\n200\n0"},
		{"nice", func(c *Command) {
			c.Scheduling.Attr = &unix.SchedAttr{Size: unix.SizeofSchedAttr, Nice: 7}
		}, "nice", "7"},
		{"cpu affinity", func(c *Command) {
			var set unix.CPUSet
			set.Set(0)
			c.Scheduling.Affinity = &set
		}, "grep Cpus_allowed_list /proc/$$/status", "Cpus_allowed_list:\t0"},
		{"filter without no_new_privs", func(c *Command) {
			c.Seccomp = refuse(unix.SYS_UNAME, 1)
			c.Capabilities = Capabilities{}
			c.UID = 12
		}, "uname; grep -E 'CapEff|CapPrm|Seccomp:' /proc/$$/status", "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nSeccomp:\t2"},
		{"strict filter: capset, chdir and prctl refused", func(c *Command) {
			c.Seccomp = refuse(unix.SYS_PRCTL, 1)
			c.Dir = "/"
		}, "echo ran", "ran"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, finish := command(t, tt.script)
			if tt.change != nil {
				tt.change(c)
			}
			pid, pidfd, err := c.Start()
			if err != nil {
				t.Fatalf("Start: %v", err)
			}
			_ = unix.Close(pidfd)
			out, _ := finish(pid)
			lines := strings.Split(out, "\n")
			for want := range strings.SplitSeq(tt.want, "\n") {
				if !slices.Contains(lines, want) {
					t.Errorf("no line %q in output:\n%s", want, out)
				}
			}
		})
	}
}

func TestOOMScore(t *testing.T) {
	needRoot(t)
	proc, err := unix.Open("/proc", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(proc) }()
	own, _ := os.ReadFile("/proc/self/oom_score_adj")
	score := 321
	c, finish := command(t, "cat /proc/$$/oom_score_adj")
	c.OOMScoreAdj, c.ProcFD = &score, proc
	pid, pidfd, err := c.Start()
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(pidfd)
	if out, _ := finish(pid); out != "321\n" {
		t.Errorf("score of the child = %q, want 321", out)
	}
	if after, _ := os.ReadFile("/proc/self/oom_score_adj"); string(after) != string(own) {
		t.Errorf("own score became %q, was %q", after, own)
	}
}

func TestStartFails(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	junk := filepath.Join(dir, "junk")
	if err := os.WriteFile(junk, []byte("junk"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*Command)
		step   Step
		path   string
		errno  syscall.Errno
	}{
		{"nowhere in PATH", func(c *Command) { c.Paths = []string{"/a/x", "/b/x"} }, StepExec, "/b/x", syscall.ENOENT},
		{"found but not executable", func(c *Command) { c.Paths = []string{plain, "/b/x"} }, StepExec, plain, syscall.EACCES},
		{"a directory", func(c *Command) { c.Paths = []string{dir} }, StepExec, dir, syscall.EACCES},
		{"no format", func(c *Command) { c.Paths = []string{junk} }, StepExec, junk, syscall.ENOEXEC},
		{"no directory", func(c *Command) { c.Dir = "/nowhere" }, StepDir, "/nowhere", syscall.ENOENT},
		{"directory of another user", func(c *Command) { c.Dir, c.UID, c.Capabilities = private(t), 12, Capabilities{} }, StepDir, "*", syscall.EACCES},
		{"limit beyond the largest", func(c *Command) { c.Rlimits = []Rlimit{{unix.RLIMIT_NOFILE, 2, 1}} }, StepRlimit, "", syscall.EINVAL},
		{"no terminal", func(c *Command) { c.Terminal = true }, StepTerminal, "", syscall.ENOTTY},
		{"no control group", func(c *Command) { c.CgroupFD = 0 }, StepClone, "", syscall.EBADF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _ := command(t, "true")
			tt.change(c)
			_, _, err := c.Start()
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Start = %v, want an *Error", err)
			}
			if e.Step != tt.step || e.Errno != tt.errno || (tt.path != "*" && e.Path != tt.path) {
				t.Errorf("Start = %q %q %v, want %q %q %v", e.Step, e.Path, e.Errno, tt.step, tt.path, tt.errno)
			}
			if e.Step != StepClone {
				if _, err := unix.Wait4(-1, nil, 0, nil); err != nil {
					t.Errorf("the child that gave up is not there to be reaped: %v", err)
				}
			}
		})
	}
}

func private(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refuse is a filter that answers one system call with errno.
func refuse(nr, errno int) []byte {
	var b []byte
	ins := func(code uint16, jt, jf byte, k uint32) {
		b = append(b, byte(code), byte(code>>8), jt, jf, byte(k), byte(k>>8), byte(k>>16), byte(k>>24))
	}
	ins(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, 0, 0, 0)
	ins(unix.BPF_JMP|unix.BPF_JEQ|unix.BPF_K, 0, 1, uint32(nr))
	ins(unix.BPF_RET|unix.BPF_K, 0, 0, 0x00050000|uint32(errno)) // SECCOMP_RET_ERRNO
	ins(unix.BPF_RET|unix.BPF_K, 0, 0, 0x7fff0000)               // SECCOMP_RET_ALLOW
	return b
}

func TestCompileOrder(t *testing.T) {
	c := &Command{Args: []string{"x"}, Paths: []string{"/x"}, Dir: "/", ExecFD: -1, KeepFD: -1, CgroupFD: 9, CgroupNSOf: -1,
		NewCgroupNS: true, Stdio: [3]int{3, 4, 5}, Terminal: true, NoNewPrivileges: true,
		Rlimits:      []Rlimit{{unix.RLIMIT_CORE, 0, 0}},
		Capabilities: Capabilities{Bounding: 1}, Seccomp: refuse(1, 1)}
	p, err := c.compile()
	if err != nil {
		t.Fatal(err)
	}
	var got []Step
	for _, c := range p.calls {
		if len(got) == 0 || got[len(got)-1] != c.step {
			got = append(got, c.step)
		}
	}
	want := []Step{StepNamespace, StepTerminal, StepStdio, StepTerminal, StepRlimit, StepUmask, StepCapabilities, StepCredentials,
		StepCapabilities, StepDir, StepCredentials, StepSeccomp, StepExec}
	if !slices.Equal(got, want) {
		t.Errorf("steps = %q\nwant    %q", got, want)
	}
	if p.args.flags&unix.CLONE_INTO_CGROUP == 0 || p.args.cgroup != 9 {
		t.Errorf("clone arguments %+v do not name the control group", p.args)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Command
	}{
		{"zero byte in an argument", Command{Args: []string{"a\x00b"}, Paths: []string{"/x"}}},
		{"zero byte in the environment", Command{Args: []string{"a"}, Env: []string{"\x00"}, Paths: []string{"/x"}}},
		{"zero byte in the directory", Command{Args: []string{"a"}, Dir: "\x00", Paths: []string{"/x"}}},
		{"half an instruction", Command{Args: []string{"a"}, Seccomp: make([]byte, 12), Paths: []string{"/x"}}},
		{"no argument", Command{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.c.ExecFD, tt.c.KeepFD, tt.c.CgroupFD, tt.c.CgroupNSOf = -1, -1, -1, -1
			if _, _, err := tt.c.Start(); err == nil {
				t.Error("Start accepted it")
			}
		})
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name string
		cmd  string
		env  []string
		want []string
	}{
		{"with a slash", "./x", []string{"PATH=/bin"}, []string{"./x"}},
		{"absolute", "/bin/x", nil, []string{"/bin/x"}},
		{"in order", "x", []string{"PATH=/a:/b"}, []string{"/a/x", "/b/x"}},
		{"last PATH wins", "x", []string{"PATH=/a", "PATH=/b"}, []string{"/b/x"}},
		{"empty entries are the working directory", "x", []string{"PATH=:/a"}, []string{"./x", "/a/x"}},
		{"relative entry", "x", []string{"PATH=bin"}, []string{"bin/x"}},
		{"default", "x", nil, []string{"/usr/local/sbin/x", "/usr/local/bin/x", "/usr/sbin/x", "/usr/bin/x", "/sbin/x", "/bin/x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Lookup(tt.cmd, tt.env); !slices.Equal(got, tt.want) {
				t.Errorf("Lookup(%q, %q) = %q, want %q", tt.cmd, tt.env, got, tt.want)
			}
		})
	}
}
