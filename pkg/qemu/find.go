package qemu

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Program is the QEMU that emulates the guest's architecture.
const Program = "qemu-system-x86_64"

// LeastMajor and LeastMinor are the oldest QEMU that has all we use (-netdev stream came with 7.2).
const LeastMajor, LeastMinor = 7, 2

// Find returns the absolute path of QEMU: path itself when given (a name is searched for in PATH), else Program from
// PATH. Errors are *NotFoundError.
func Find(path string) (string, error) {
	if path == "" {
		path = Program
	}
	found, err := exec.LookPath(path)
	if err != nil {
		// "executable file not found in $PATH" and the like, without the name that stands before it.
		var lookup *exec.Error
		if errors.As(err, &lookup) {
			err = lookup.Err
		}
		return "", &NotFoundError{Path: path, Err: err}
	}
	abs, err := filepath.Abs(found)
	if err != nil {
		return "", &NotFoundError{Path: path, Err: err}
	}
	return abs, nil
}

// Version is what QEMU says of itself.
type Version struct {
	Major, Minor, Micro int
	// Build tells builds of one version apart: "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)". Caches are keyed by it.
	Build string
}

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Micro) }

// Supported reports whether vpod can use this QEMU.
func (v Version) Supported() bool {
	return v.Major > LeastMajor || v.Major == LeastMajor && v.Minor >= LeastMinor
}

// QueryVersion runs QEMU to ask for its version. It takes some 30 ms: callers keep the answer as long as the binary's
// size and times stay the same.
func QueryVersion(ctx context.Context, path string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Version{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	v, err := parseVersion(string(out))
	if err != nil {
		return Version{}, fmt.Errorf("ask %s for its version: %w", path, err)
	}
	return v, nil
}

var versionLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^QEMU emulator version ((\d+)\.(\d+)\.(\d+).*)$`) })

func parseVersion(out string) (Version, error) {
	first, _, _ := strings.Cut(out, "\n")
	m := versionLine().FindStringSubmatch(strings.TrimSpace(first))
	if m == nil {
		return Version{}, fmt.Errorf("answer %.80q is not QEMU's", first)
	}
	v := Version{Build: m[1]}
	for i, n := range []*int{&v.Major, &v.Minor, &v.Micro} {
		var err error
		if *n, err = strconv.Atoi(m[i+2]); err != nil {
			return Version{}, fmt.Errorf("answer %.80q is not QEMU's: %w", first, err)
		}
	}
	return v, nil
}
