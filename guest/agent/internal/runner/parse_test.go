package runner

import (
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
	"vpod/pkg/agentproto"
)

func TestParseCapabilities(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    *specs.LinuxCapabilities
		want  spawn.Capabilities
		fails bool
	}{
		{"none", nil, spawn.Capabilities{}, false},
		{"first and last", &specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}}, spawn.Capabilities{Bounding: 1 | 1<<unix.CAP_CHECKPOINT_RESTORE}, false},
		{"ambient needs permitted and inheritable", &specs.LinuxCapabilities{Ambient: []string{"CAP_KILL", "CAP_FOWNER"}, Permitted: []string{"CAP_KILL", "CAP_FOWNER"}, Inheritable: []string{"CAP_KILL"}},
			spawn.Capabilities{Ambient: 1 << unix.CAP_KILL, Permitted: 1<<unix.CAP_KILL | 1<<unix.CAP_FOWNER, Inheritable: 1 << unix.CAP_KILL}, false},
		{"unknown", &specs.LinuxCapabilities{Effective: []string{"CAP_NONSENSE"}}, spawn.Capabilities{}, true},
		{"without prefix", &specs.LinuxCapabilities{Effective: []string{"KILL"}}, spawn.Capabilities{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseCapabilities(tt.in)
			if (err != nil) != tt.fails || err == nil && got != tt.want {
				t.Errorf("parseCapabilities = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
	for i, name := range []string{0: "CHOWN", 8: "SETPCAP", 21: "SYS_ADMIN", 27: "MKNOD", 31: "SETFCAP", 39: "BPF"} {
		if name != "" && capabilityNames[i] != name {
			t.Errorf("capability %d is called %q, want %q", i, capabilityNames[i], name)
		}
	}
}

func TestParseRlimits(t *testing.T) {
	for _, tt := range []struct {
		name  string
		in    []specs.POSIXRlimit
		want  []spawn.Rlimit
		fails bool
	}{
		{"none", nil, nil, false},
		{"one", []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 1, Hard: 2}}, []spawn.Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 1, Hard: 2}}, false},
		{"unbounded", []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: unix.RLIM_INFINITY, Hard: unix.RLIM_INFINITY}}, []spawn.Rlimit{{Resource: unix.RLIMIT_CORE, Soft: unix.RLIM_INFINITY, Hard: unix.RLIM_INFINITY}}, false},
		{"unknown", []specs.POSIXRlimit{{Type: "nofile"}}, nil, true},
		{"twice", []specs.POSIXRlimit{{Type: "RLIMIT_CPU"}, {Type: "RLIMIT_CPU"}}, nil, true},
		{"soft above hard", []specs.POSIXRlimit{{Type: "RLIMIT_CPU", Soft: 2, Hard: 1}}, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseRlimits(tt.in)
			if (err != nil) != tt.fails || err == nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseRlimits = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestParseList(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []int
	}{
		{"one", "3", []int{3}},
		{"ranges", "0-2,5", []int{0, 1, 2, 5}},
		{"spaces", "0, 1", []int{0, 1}},
		{"backwards", "2-1", nil},
		{"beyond", "64", nil},
		{"huge range", "0-99999999999", nil},
		{"negative", "-1", nil},
		{"empty", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseList(tt.in, 64)
			if (err != nil) != (tt.want == nil) || err == nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("parseList(%q) = %v, %v; want %v", tt.in, got, err, tt.want)
			}
		})
	}
}

func TestParseScheduling(t *testing.T) {
	if a, err := parseScheduler(&specs.Scheduler{Policy: specs.SchedFIFO, Priority: 5, Flags: []specs.LinuxSchedulerFlag{specs.SchedFlagResetOnFork}}); err != nil ||
		a.Policy != unix.SCHED_FIFO || a.Priority != 5 || a.Flags != unix.SCHED_FLAG_RESET_ON_FORK {
		t.Errorf("parseScheduler = %+v, %v", a, err)
	}
	if p, err := parseIOPriority(&specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 3}); err != nil || *p != 2<<13|3 {
		t.Errorf("parseIOPriority = %v, %v", p, err)
	}
	if set, err := parseAffinity(&specs.CPUAffinity{Initial: "0", Final: "1-2"}); err != nil || set.IsSet(0) || !set.IsSet(1) || !set.IsSet(2) {
		t.Errorf("parseAffinity = %v, %v", set, err)
	}
	if m, err := parseMemoryPolicy(&specs.LinuxMemoryPolicy{Mode: specs.MpolBind, Nodes: "0", Flags: []specs.MemoryPolicyFlagType{specs.MpolFStaticNodes}}); err != nil || m.Mode != 2|1<<15 || m.Nodes != 1 {
		t.Errorf("parseMemoryPolicy = %+v, %v", m, err)
	}
	if p, err := parsePersonality(&specs.LinuxPersonality{Domain: specs.PerLinux32}); err != nil || *p != 8 {
		t.Errorf("parsePersonality = %v, %v", p, err)
	}
	for name, err := range map[string]error{
		"policy":      second(parseScheduler(&specs.Scheduler{Policy: "SCHED_ISO"})),
		"priority":    second(parseScheduler(&specs.Scheduler{Policy: specs.SchedFIFO, Priority: -1})),
		"flag":        second(parseScheduler(&specs.Scheduler{Policy: specs.SchedFIFO, Flags: []specs.LinuxSchedulerFlag{"x"}})),
		"I/O class":   second(parseIOPriority(&specs.LinuxIOPriority{Class: "x"})),
		"I/O level":   second(parseIOPriority(&specs.LinuxIOPriority{Class: specs.IOPRIO_CLASS_BE, Priority: 8})),
		"affinity":    second(parseAffinity(&specs.CPUAffinity{Final: "x"})),
		"memory":      second(parseMemoryPolicy(&specs.LinuxMemoryPolicy{Mode: "x"})),
		"personality": second(parsePersonality(&specs.LinuxPersonality{Domain: "x"})),
	} {
		if err == nil {
			t.Errorf("an unknown %s was accepted", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestParseNamespaces(t *testing.T) {
	for _, tt := range []struct {
		name   string
		in     *specs.Linux
		create uintptr
		join   int
		fails  bool
	}{
		{"no Linux section", nil, defaultNamespaces, 0, false},
		{"none asked for", &specs.Linux{}, unix.CLONE_NEWNS, 0, false},
		{"new ones", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "network"}}}, unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET, 0, false},
		{"one joined", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "ipc", Path: "/proc/1/ns/ipc"}}}, unix.CLONE_NEWNS, 1, false},
		{"user", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "user"}}}, 0, 0, true},
		{"time", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "time"}}}, 0, 0, true},
		{"twice", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "pid"}, {Type: "pid"}}}, 0, 0, true},
		{"another's root", &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: "mount", Path: "/x"}}}, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseNamespaces(tt.in)
			if (err != nil) != tt.fails || err == nil && (got.create != tt.create || len(got.join) != tt.join) {
				t.Errorf("parseNamespaces = %+v, %v; want %#x, %d joined", got, err, tt.create, tt.join)
			}
		})
	}
}

func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name string
		spec specs.Spec
		ok   bool
	}{
		{"nothing", specs.Spec{}, true},
		{"empty hooks", specs.Spec{Hooks: &specs.Hooks{}}, true},
		{"hooks", specs.Spec{Hooks: &specs.Hooks{Poststop: make([]specs.Hook, 1)}}, false},
		{"another system", specs.Spec{Windows: &specs.Windows{}}, false},
		{"user namespace", specs.Spec{Linux: &specs.Linux{UIDMappings: make([]specs.LinuxIDMapping, 1)}}, false},
		{"seccomp profile", specs.Spec{Linux: &specs.Linux{Seccomp: &specs.LinuxSeccomp{}}}, false},
		{"time offsets", specs.Spec{Linux: &specs.Linux{TimeOffsets: map[string]specs.LinuxTimeOffset{"monotonic": {}}}}, false},
		{"RDT", specs.Spec{Linux: &specs.Linux{IntelRdt: &specs.LinuxIntelRdt{}}}, false},
		{"mount label", specs.Spec{Linux: &specs.Linux{MountLabel: "x"}}, false},
		{"network devices", specs.Spec{Linux: &specs.Linux{NetDevices: map[string]specs.LinuxNetDevice{"x": {}}}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := refuse(&tt.spec); (err == nil) != tt.ok {
				t.Errorf("refuse = %v, want ok: %t", err, tt.ok)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		name, cmd string
		err       spawn.Error
		code      agentproto.ErrorCode
		text      string
	}{
		{"not found", "foo", spawn.Error{Step: spawn.StepExec, Path: "/bin/foo", Errno: syscall.ENOENT}, agentproto.ErrNotFound, "executable file `foo` not found in $PATH: No such file or directory"},
		{"not executable", "/x", spawn.Error{Step: spawn.StepExec, Path: "/x", Errno: syscall.EACCES}, agentproto.ErrNotExecutable, "`/x`: Permission denied"},
		{"no format", "/x", spawn.Error{Step: spawn.StepExec, Path: "/x", Errno: syscall.ENOEXEC}, agentproto.ErrNotExecutable, "`/x`: Exec format error"},
		{"no interpreter", "/proc/self/stat", spawn.Error{Step: spawn.StepExec, Path: "/proc/self/stat", Errno: syscall.ENOENT}, agentproto.ErrNotFound, "interpreter"},
		{"no directory", "x", spawn.Error{Step: spawn.StepDir, Path: "/d", Errno: syscall.ENOENT}, agentproto.ErrNotFound, "chdir to `/d`: No such file or directory"},
		{"directory refused", "x", spawn.Error{Step: spawn.StepDir, Path: "/d", Errno: syscall.EACCES}, agentproto.ErrNotExecutable, "chdir to `/d`: Permission denied"},
		{"limits", "x", spawn.Error{Step: spawn.StepRlimit, Errno: syscall.EPERM}, agentproto.ErrSetup, "resource limits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &launch{first: true, spec: &agentproto.Process{OCI: specs.Process{Args: []string{tt.cmd}}}}
			err := l.explain(&tt.err)
			e, ok := err.(*agentproto.Error) //nolint:errorlint // the very type is tested
			if !ok || e.Code != tt.code || !strings.Contains(e.Message, tt.text) {
				t.Errorf("explain = %v, want %s %q", err, tt.code, tt.text)
			}
		})
	}
}

func TestExitStatus(t *testing.T) {
	for _, tt := range []struct {
		name         string
		ws           unix.WaitStatus
		code, signal int
	}{
		{"success", 0, 0, 0},
		{"code", 3 << 8, 3, 0},
		{"killed", unix.WaitStatus(unix.SIGKILL), 137, 9},
		{"dumped core", unix.WaitStatus(unix.SIGSEGV) | 0x80, 139, 11},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := exitStatus(tt.ws, time.Unix(1, 2))
			if got.Code != tt.code || got.Signal != tt.signal || got.UnixNano != 1e9+2 {
				t.Errorf("exitStatus(%#x) = %+v", uint32(tt.ws), got)
			}
		})
	}
}

func TestWithHome(t *testing.T) {
	for _, tt := range []struct {
		name, env, want string
	}{
		{"missing", "A=b", "A=b HOME=/h"},
		{"there", "HOME=/x A=b", "HOME=/x A=b"},
		{"empty is there", "HOME=", "HOME="},
		{"similar name", "HOMEX=1", "HOMEX=1 HOME=/h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(withHome(strings.Fields(tt.env), "/h"), " "); got != tt.want {
				t.Errorf("withHome(%q) = %q, want %q", tt.env, got, tt.want)
			}
		})
	}
}
