package seccomp

import common "github.com/containers/common/pkg/seccomp"

// Action is what the kernel does with a system call, by its libseccomp name.
type Action string

// Actions of a rule and of a profile.
const (
	ActKill        Action = "SCMP_ACT_KILL" // kills the thread, as ActKillThread
	ActKillProcess Action = "SCMP_ACT_KILL_PROCESS"
	ActKillThread  Action = "SCMP_ACT_KILL_THREAD"
	ActTrap        Action = "SCMP_ACT_TRAP"
	ActErrno       Action = "SCMP_ACT_ERRNO"
	ActTrace       Action = "SCMP_ACT_TRACE"
	ActAllow       Action = "SCMP_ACT_ALLOW"
	ActLog         Action = "SCMP_ACT_LOG"
	ActNotify      Action = "SCMP_ACT_NOTIFY" // refused, see the package comment
)

// Operator compares one argument of a system call with a value.
type Operator string

// Operators of an argument condition. All compare unsigned.
const (
	OpNotEqual     Operator = "SCMP_CMP_NE"
	OpLessThan     Operator = "SCMP_CMP_LT"
	OpLessEqual    Operator = "SCMP_CMP_LE"
	OpEqualTo      Operator = "SCMP_CMP_EQ"
	OpGreaterEqual Operator = "SCMP_CMP_GE"
	OpGreaterThan  Operator = "SCMP_CMP_GT"
	OpMaskedEqual  Operator = "SCMP_CMP_MASKED_EQ"
)

// Profile is a seccomp profile as users write it, not yet checked.
type Profile struct {
	// DefaultAction applies to every system call that no rule decides.
	DefaultAction Action `json:"defaultAction"`
	// DefaultErrnoRet and DefaultErrno give the errno of ActErrno (or the
	// message of ActTrace), as number or name; the name wins. Default EPERM.
	DefaultErrnoRet *uint  `json:"defaultErrnoRet,omitempty"`
	DefaultErrno    string `json:"defaultErrno,omitempty"`

	// Architectures lists what is allowed beside the native architecture;
	// ArchMap does so per native architecture. A profile has one or neither.
	Architectures []string       `json:"architectures,omitempty"`
	ArchMap       []Architecture `json:"archMap,omitempty"`

	Syscalls []Rule `json:"syscalls"`

	// Flags are SECCOMP_FILTER_FLAG_* names; see FilterFlags.
	Flags []string `json:"flags,omitempty"`

	// ListenerPath and ListenerMetadata belong to ActNotify, which is
	// refused; without it they have no effect.
	ListenerPath     string `json:"listenerPath,omitempty"`
	ListenerMetadata string `json:"listenerMetadata,omitempty"`
}

// Architecture names a native architecture and those that run beside it.
type Architecture struct {
	Arch      string   `json:"architecture"`
	SubArches []string `json:"subArchitectures"`
}

// Rule gives an action to one or more system calls.
type Rule struct {
	// Name and Names are the old and the new spelling; a rule has one of them.
	Name  string   `json:"name,omitempty"`
	Names []string `json:"names,omitempty"`

	Action Action `json:"action"`
	// ErrnoRet and Errno are as Profile.DefaultErrnoRet and DefaultErrno.
	ErrnoRet *uint  `json:"errnoRet,omitempty"`
	Errno    string `json:"errno,omitempty"`

	// Args must all hold, except that two conditions on one argument turn
	// each condition into a rule of its own. Empty means always.
	Args []Arg `json:"args,omitempty"`

	// Includes and Excludes decide whether the rule is used at all.
	Includes Filter `json:"includes"`
	Excludes Filter `json:"excludes"`
}

// Arg is a condition on one argument.
type Arg struct {
	Index uint   `json:"index"` // 0 to 5
	Value uint64 `json:"value"` // the mask with OpMaskedEqual
	// ValueTwo is what the masked argument must equal with OpMaskedEqual,
	// and unused otherwise.
	ValueTwo uint64   `json:"valueTwo"`
	Op       Operator `json:"op"`
}

// Filter selects rules by what the container may do and where it runs. As
// Includes all of Caps must be held and one of Arches be the native one; as
// Excludes any single match drops the rule.
type Filter struct {
	Caps   []string `json:"caps,omitempty"`
	Arches []string `json:"arches,omitempty"` // Go names: amd64, arm64
	// MinKernel is the oldest kernel, "major.minor", at which the filter
	// matches. Docker's profiles use it.
	MinKernel string `json:"minKernel,omitempty"`
}

// DefaultProfile returns a new copy of the built-in profile, the one of
// containers/common that Podman uses.
func DefaultProfile() *Profile {
	src := common.DefaultProfile()
	p := &Profile{
		DefaultAction:    Action(src.DefaultAction),
		DefaultErrnoRet:  src.DefaultErrnoRet,
		DefaultErrno:     src.DefaultErrno,
		Architectures:    archNames(src.Architectures),
		Flags:            src.Flags,
		ListenerPath:     src.ListenerPath,
		ListenerMetadata: src.ListenerMetadata,
		Syscalls:         make([]Rule, 0, len(src.Syscalls)),
	}
	for _, a := range src.ArchMap {
		p.ArchMap = append(p.ArchMap, Architecture{
			Arch:      string(a.Arch),
			SubArches: archNames(a.SubArches),
		})
	}
	for _, s := range src.Syscalls {
		rule := Rule{
			Name:     s.Name,
			Names:    s.Names,
			Action:   Action(s.Action),
			ErrnoRet: s.ErrnoRet,
			Errno:    s.Errno,
			Includes: Filter{Caps: s.Includes.Caps, Arches: s.Includes.Arches},
			Excludes: Filter{Caps: s.Excludes.Caps, Arches: s.Excludes.Arches},
		}
		for _, a := range s.Args {
			rule.Args = append(rule.Args, Arg{
				Index: a.Index, Value: a.Value, ValueTwo: a.ValueTwo, Op: Operator(a.Op),
			})
		}
		p.Syscalls = append(p.Syscalls, rule)
	}
	return p
}

func archNames(arches []common.Arch) []string {
	var names []string
	for _, a := range arches {
		names = append(names, string(a))
	}
	return names
}
