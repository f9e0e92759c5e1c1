package runner

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/guest/agent/internal/spawn"
)

// constant is an entry of a table of names and the kernel's numbers for them: a
// list, as a map would be filled each time the program starts.
type constant[K ~string, V any] struct {
	name  K
	value V
}

// value looks a name up.
func value[K ~string, V any](list []constant[K, V], name K) (v V, ok bool) {
	for _, c := range list {
		if c.name == name {
			return c.value, true
		}
	}
	return v, false
}

var rlimits = []constant[string, int]{
	{"RLIMIT_AS", unix.RLIMIT_AS}, {"RLIMIT_CORE", unix.RLIMIT_CORE}, {"RLIMIT_CPU", unix.RLIMIT_CPU},
	{"RLIMIT_DATA", unix.RLIMIT_DATA}, {"RLIMIT_FSIZE", unix.RLIMIT_FSIZE}, {"RLIMIT_LOCKS", unix.RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", unix.RLIMIT_NICE},
	{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE}, {"RLIMIT_NPROC", unix.RLIMIT_NPROC}, {"RLIMIT_RSS", unix.RLIMIT_RSS},
	{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO}, {"RLIMIT_RTTIME", unix.RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING}, {"RLIMIT_STACK", unix.RLIMIT_STACK},
}

func parseRlimits(list []specs.POSIXRlimit) ([]spawn.Rlimit, error) {
	var out []spawn.Rlimit
	seen := make(map[string]bool)
	for _, l := range list {
		n, ok := value(rlimits, l.Type)
		switch {
		case !ok:
			return nil, fmt.Errorf("unknown resource limit %q", l.Type)
		case seen[l.Type]:
			return nil, fmt.Errorf("resource limit %s is given twice", l.Type)
		case l.Soft > l.Hard:
			return nil, fmt.Errorf("resource limit %s: soft limit %d is above hard limit %d", l.Type, l.Soft, l.Hard)
		}
		seen[l.Type] = true
		out = append(out, spawn.Rlimit{Resource: n, Soft: l.Soft, Hard: l.Hard})
	}
	return out, nil
}

var schedPolicies = []constant[specs.LinuxSchedulerPolicy, uint32]{
	{specs.SchedOther, unix.SCHED_NORMAL}, {specs.SchedFIFO, unix.SCHED_FIFO}, {specs.SchedRR, unix.SCHED_RR},
	{specs.SchedBatch, unix.SCHED_BATCH}, {specs.SchedIdle, unix.SCHED_IDLE}, {specs.SchedDeadline, unix.SCHED_DEADLINE},
}

var schedFlags = []constant[specs.LinuxSchedulerFlag, uint64]{
	{specs.SchedFlagResetOnFork, unix.SCHED_FLAG_RESET_ON_FORK}, {specs.SchedFlagReclaim, unix.SCHED_FLAG_RECLAIM},
	{specs.SchedFlagDLOverrun, unix.SCHED_FLAG_DL_OVERRUN}, {specs.SchedFlagKeepPolicy, unix.SCHED_FLAG_KEEP_POLICY},
	{specs.SchedFlagKeepParams, unix.SCHED_FLAG_KEEP_PARAMS}, {specs.SchedFlagUtilClampMin, unix.SCHED_FLAG_UTIL_CLAMP_MIN},
	{specs.SchedFlagUtilClampMax, unix.SCHED_FLAG_UTIL_CLAMP_MAX},
}

func parseScheduler(s *specs.Scheduler) (*unix.SchedAttr, error) {
	if s == nil {
		return nil, nil
	}
	policy, ok := value(schedPolicies, s.Policy)
	if !ok {
		return nil, fmt.Errorf("unknown scheduling policy %q", s.Policy)
	}
	if s.Priority < 0 {
		return nil, fmt.Errorf("scheduling priority %d is negative", s.Priority)
	}
	a := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Nice: s.Nice, Priority: uint32(s.Priority),
		Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period}
	for _, f := range s.Flags {
		bit, ok := value(schedFlags, f)
		if !ok {
			return nil, fmt.Errorf("unknown scheduling flag %q", f)
		}
		a.Flags |= bit
	}
	return a, nil
}

// parseIOPriority packs class and level as ioprio_set(2) wants them.
func parseIOPriority(p *specs.LinuxIOPriority) (*int, error) {
	if p == nil {
		return nil, nil
	}
	classes := map[specs.IOPriorityClass]int{specs.IOPRIO_CLASS_RT: 1, specs.IOPRIO_CLASS_BE: 2, specs.IOPRIO_CLASS_IDLE: 3}
	class, ok := classes[p.Class]
	if !ok || p.Priority < 0 || p.Priority > 7 {
		return nil, fmt.Errorf("no such I/O priority: class %q, level %d", p.Class, p.Priority)
	}
	v := class<<13 | p.Priority
	return &v, nil
}

// parseList reads "0-3,7" into bit numbers below limit.
func parseList(s string, limit int) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(s, ",") {
		lo, hi, ranged := strings.Cut(strings.TrimSpace(part), "-")
		a, err := strconv.Atoi(lo)
		b := a
		if err == nil && ranged {
			b, err = strconv.Atoi(hi)
		}
		if err != nil || a < 0 || b < a || b >= limit {
			return nil, fmt.Errorf("%q is not a list of numbers below %d", s, limit)
		}
		for i := a; i <= b; i++ {
			out = append(out, i)
		}
	}
	return out, nil
}

// parseAffinity reads what an exec session is bound to. It starts in its control
// group at once, so that the affinity before does not matter and the last one
// asked for holds.
func parseAffinity(a *specs.CPUAffinity) (*unix.CPUSet, error) {
	if a == nil {
		return nil, nil
	}
	list := a.Final
	if list == "" {
		list = a.Initial
	}
	if list == "" {
		return nil, nil
	}
	cpus, err := parseList(list, 1024)
	if err != nil {
		return nil, fmt.Errorf("CPU affinity: %w", err)
	}
	var set unix.CPUSet
	for _, c := range cpus {
		set.Set(c)
	}
	return &set, nil
}

func parsePersonality(p *specs.LinuxPersonality) (*uint32, error) {
	if p == nil {
		return nil, nil
	}
	// linux/personality.h: PER_LINUX and PER_LINUX32.
	values := map[specs.LinuxPersonalityDomain]uint32{specs.PerLinux: 0, specs.PerLinux32: 8}
	v, ok := values[p.Domain]
	if !ok || len(p.Flags) > 0 {
		return nil, fmt.Errorf("unknown personality %q %q", p.Domain, p.Flags)
	}
	return &v, nil
}

// linux/mempolicy.h: modes and the flags that go with them.
var (
	memoryModes = []constant[specs.MemoryPolicyModeType, int]{{specs.MpolDefault, 0}, {specs.MpolPreferred, 1}, {specs.MpolBind, 2},
		{specs.MpolInterleave, 3}, {specs.MpolLocal, 4}, {specs.MpolPreferredMany, 5}, {specs.MpolWeightedInterleave, 6}}
	memoryFlags = []constant[specs.MemoryPolicyFlagType, int]{{specs.MpolFStaticNodes, 1 << 15}, {specs.MpolFRelativeNodes, 1 << 14},
		{specs.MpolFNumaBalancing, 1 << 13}}
)

func parseMemoryPolicy(p *specs.LinuxMemoryPolicy) (*spawn.MemoryPolicy, error) {
	if p == nil {
		return nil, nil
	}
	mode, ok := value(memoryModes, p.Mode)
	if !ok {
		return nil, fmt.Errorf("unknown memory policy %q", p.Mode)
	}
	out := &spawn.MemoryPolicy{Mode: mode}
	for _, f := range p.Flags {
		bit, ok := value(memoryFlags, f)
		if !ok {
			return nil, fmt.Errorf("unknown memory policy flag %q", f)
		}
		out.Mode |= bit
	}
	if p.Nodes != "" {
		nodes, err := parseList(p.Nodes, 64)
		if err != nil {
			return nil, fmt.Errorf("memory policy: %w", err)
		}
		for _, n := range nodes {
			out.Nodes |= 1 << n
		}
	}
	return out, nil
}
