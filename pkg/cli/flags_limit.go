package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"vpod/pkg/container"
)

// limitFlags bound the container inside its machine.
type limitFlags struct {
	pidsLimit int64
	ulimits   []string
	sysctls   []string
	changed   func(flag string) bool
}

func (f *limitFlags) addFlags(flags *pflag.FlagSet) {
	f.changed = flags.Changed
	flags.Int64Var(&f.pidsLimit, "pids-limit", 0, "Allow this `number` of processes, -1 for any (default 2048)")
	flags.StringSliceVar(&f.ulimits, "ulimit", nil, "Set a resource limit: `NAME=SOFT[:HARD]`, or host for those of vpod itself")
	flags.StringSliceVar(&f.sysctls, "sysctl", nil, "Set a kernel parameter of the machine: `KEY=VALUE`")
}

// apply fills in the limits of containers.conf where the user names none.
func (f *limitFlags) apply(spec *container.Spec, in surroundings) error {
	spec.Limits.Pids = in.config.PidsLimit
	if f.changed("pids-limit") {
		if f.pidsLimit < -1 {
			return fmt.Errorf("--pids-limit %d: give a number above zero, or -1 for no limit", f.pidsLimit)
		}
		spec.Limits.Pids = max(f.pidsLimit, 0)
	}
	limits := map[string]container.Ulimit{}
	for _, u := range in.config.Ulimits {
		if err := setUlimit(limits, u); err != nil {
			return fmt.Errorf("default_ulimits in containers.conf: %w", err)
		}
	}
	for _, u := range f.ulimits {
		if err := setUlimit(limits, u); err != nil {
			return fmt.Errorf("--ulimit: %w", err)
		}
	}
	for _, u := range limits {
		spec.Limits.Ulimits = append(spec.Limits.Ulimits, u)
	}
	slices.SortFunc(spec.Limits.Ulimits, func(a, b container.Ulimit) int { return strings.Compare(a.Name, b.Name) })
	var err error
	spec.Sysctls, err = pairs("--sysctl", f.sysctls)
	return err
}

// rlimits are the resource limits of getrlimit(2) by the names of --ulimit.
var rlimits = []struct {
	name     string
	resource int
}{
	{"as", unix.RLIMIT_AS}, {"core", unix.RLIMIT_CORE}, {"cpu", unix.RLIMIT_CPU}, {"data", unix.RLIMIT_DATA},
	{"fsize", unix.RLIMIT_FSIZE}, {"locks", unix.RLIMIT_LOCKS}, {"memlock", unix.RLIMIT_MEMLOCK},
	{"msgqueue", unix.RLIMIT_MSGQUEUE}, {"nice", unix.RLIMIT_NICE}, {"nofile", unix.RLIMIT_NOFILE},
	{"nproc", unix.RLIMIT_NPROC}, {"rss", unix.RLIMIT_RSS}, {"rtprio", unix.RLIMIT_RTPRIO},
	{"rttime", unix.RLIMIT_RTTIME}, {"sigpending", unix.RLIMIT_SIGPENDING}, {"stack", unix.RLIMIT_STACK},
}

// setUlimit takes NAME=SOFT[:HARD], where -1 and unlimited are no limit, or host.
func setUlimit(limits map[string]container.Ulimit, s string) error {
	if s == "host" {
		for _, r := range rlimits {
			var lim unix.Rlimit
			if err := unix.Getrlimit(r.resource, &lim); err != nil {
				return fmt.Errorf("read the host's limit %s: %w", r.name, err)
			}
			limits[r.name] = container.Ulimit{Name: r.name, Soft: rlimitValue(lim.Cur), Hard: rlimitValue(lim.Max)}
		}
		return nil
	}
	u, err := units.ParseUlimit(strings.ReplaceAll(s, "unlimited", "-1"))
	if err != nil {
		return fmt.Errorf("%q: the form is NAME=SOFT[:HARD], as nofile=1024:4096: %w", s, err)
	}
	if u.Soft < -1 || u.Hard < -1 {
		return fmt.Errorf("%q: a limit is a number of 0 or more, or -1 for none", s)
	}
	if u.Hard != -1 && (u.Soft > u.Hard || u.Soft == -1) {
		return fmt.Errorf("%q: the soft limit is above the hard one", s)
	}
	limits[u.Name] = container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard}
	return nil
}

// rlimitValue is a limit as a Ulimit holds it.
func rlimitValue(n uint64) int64 {
	if n > 1<<63-1 { // RLIM_INFINITY
		return -1
	}
	return int64(n)
}
