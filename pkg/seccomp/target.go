package seccomp

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Target is what a profile is compiled for.
type Target struct {
	// Arch is the guest's architecture as Go names it: amd64 or arm64.
	Arch string
	// Caps is the container's bounding set of capabilities, such as
	// CAP_SYS_ADMIN; case and the prefix CAP_ may be left out.
	Caps []string
	// Kernel is the version of the guest's kernel, of which "major.minor" is
	// read, for the minKernel of rules. Empty is newer than any.
	Kernel string
}

// target is a checked Target.
type target struct {
	goarch string
	native abi
	caps   []string // sorted, upper case, with prefix
	kernel kernel
}

func (t Target) check() (target, error) {
	n, err := native(t.Arch)
	if err != nil {
		return target{}, err
	}
	k, err := parseKernel(t.Kernel)
	if err != nil {
		return target{}, fmt.Errorf("seccomp filter: %w", err)
	}
	if t.Kernel == "" {
		k = kernel{major: math.MaxInt}
	}
	caps := make([]string, 0, len(t.Caps))
	for _, c := range t.Caps {
		c = strings.ToUpper(c)
		if !strings.HasPrefix(c, "CAP_") {
			c = "CAP_" + c
		}
		caps = append(caps, c)
	}
	slices.Sort(caps)
	return target{goarch: t.Arch, native: n, caps: caps, kernel: k}, nil
}

// selects reports whether a rule applies to the target.
func (t target) selects(s *Rule) bool {
	if slices.Contains(s.Excludes.Arches, t.goarch) ||
		slices.ContainsFunc(s.Excludes.Caps, t.holds) ||
		s.Excludes.MinKernel != "" && t.atLeast(s.Excludes.MinKernel) {
		return false
	}
	if len(s.Includes.Arches) > 0 && !slices.Contains(s.Includes.Arches, t.goarch) {
		return false
	}
	for _, c := range s.Includes.Caps {
		if !t.holds(c) {
			return false
		}
	}
	return s.Includes.MinKernel == "" || t.atLeast(s.Includes.MinKernel)
}

func (t target) holds(capability string) bool {
	_, ok := slices.BinarySearch(t.caps, capability)
	return ok
}

// atLeast takes a version that parseKernel has accepted before.
func (t target) atLeast(version string) bool {
	k, err := parseKernel(version)
	return err == nil && !t.kernel.before(k)
}

// kernel is a kernel version.
type kernel struct{ major, minor int }

func (k kernel) before(o kernel) bool {
	return k.major < o.major || k.major == o.major && k.minor < o.minor
}

// parseKernel reads "major.minor" off the start of a version such as
// "6.12.117-vpod". The empty string gives the oldest version.
func parseKernel(s string) (kernel, error) {
	if s == "" {
		return kernel{}, nil
	}
	major, rest, _ := strings.Cut(s, ".")
	minor := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		minor = rest[:i]
	}
	a, err1 := strconv.ParseUint(major, 10, 16)
	b, err2 := strconv.ParseUint(minor, 10, 16)
	if err1 != nil || err2 != nil {
		return kernel{}, fmt.Errorf("%q is not a kernel version", s)
	}
	return kernel{int(a), int(b)}, nil
}
