package cli

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// rootfsFlags describe the container's file systems.
type rootfsFlags struct {
	mode       string
	readOnly   bool
	tmpfs      []string
	shmSize    string
	storageOpt []string
}

var rootfsModes = []string{string(container.RootfsDisk), string(container.RootfsVirtiofs), string(container.Rootfs9p)}

func (f *rootfsFlags) addFlags(flags *pflag.FlagSet) {
	flags.Var(newChoice(&f.mode, rootfsModes...), "rootfs-mode", "Bring the image into the machine by this `mode`: disk (default), virtiofs or 9p")
	flags.BoolVar(&f.readOnly, "read-only", false, "Make the root file system read-only")
	flags.StringArrayVar(&f.tmpfs, "tmpfs", nil, "Mount a temporary file system: `PATH[:OPTIONS]`")
	flags.StringVar(&f.shmSize, "shm-size", "", "Give /dev/shm this size: `number[unit]` (default 64m)")
	flags.StringSliceVar(&f.storageOpt, "storage-opt", nil, "Bound the writable layer: `size=number[unit]` (default size=10g)")
}

func (f *rootfsFlags) apply(spec *container.Spec) error {
	r := &spec.Rootfs
	r.Mode, r.ReadOnly = container.RootfsMode(f.mode), f.readOnly
	for _, t := range f.tmpfs {
		m, err := parseTmpfs(t)
		if err != nil {
			return fmt.Errorf("--tmpfs %s: %w", t, err)
		}
		if slices.ContainsFunc(r.Tmpfs, func(have container.Tmpfs) bool { return have.Path == m.Path }) {
			return fmt.Errorf("--tmpfs %s: %s is named twice", t, m.Path)
		}
		r.Tmpfs = append(r.Tmpfs, m)
	}
	if f.shmSize != "" {
		n, err := parseSize("--shm-size", f.shmSize)
		if err != nil {
			return err
		}
		r.ShmBytes = n
	}
	for _, opt := range f.storageOpt {
		key, value, _ := strings.Cut(opt, "=")
		if key != "size" {
			return &engine.HintError{Err: fmt.Errorf("--storage-opt %s: no such option", opt), Hint: "vpod knows size=, as --storage-opt size=20g"}
		}
		n, err := parseSize("--storage-opt size", value)
		if err != nil {
			return err
		}
		r.SizeBytes = n
	}
	return nil
}

// parseSize reads a number of bytes with an optional unit b, k, m, g or t.
func parseSize(flag, s string) (int64, error) {
	n, err := units.RAMInBytes(s)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%s %q: not a size; give a number above zero with b, k, m or g, as 512m", flag, s)
	}
	return n, nil
}

// Options of tmpfs(5) and mount(8) that make sense in a container; the two last
// ones are Podman's.
var tmpfsFlags = []string{
	"rw", "ro", "exec", "noexec", "suid", "nosuid", "dev", "nodev",
	"sync", "async", "dirsync", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	"tmpcopyup", "notmpcopyup",
}

// tmpfsValues checks options with a value. Sizes may end in k, m, g or %.
var tmpfsValues = sync.OnceValue(func() map[string]*regexp.Regexp {
	size, number := regexp.MustCompile(`^[0-9]+[kKmMgG%]?$`), regexp.MustCompile(`^[0-9]+$`)
	return map[string]*regexp.Regexp{
		"size": size, "nr_blocks": size, "nr_inodes": size,
		"mode": regexp.MustCompile(`^[0-7]{1,5}$`),
		"uid":  number, "gid": number,
	}
})

// parseTmpfs reads PATH[:OPTIONS].
func parseTmpfs(s string) (container.Tmpfs, error) {
	dir, options, _ := strings.Cut(s, ":")
	if !path.IsAbs(dir) || path.Clean(dir) == "/" {
		return container.Tmpfs{}, fmt.Errorf("%q must be an absolute path in the container, and not its root", dir)
	}
	t := container.Tmpfs{Path: path.Clean(dir)}
	if options == "" {
		return t, nil
	}
	for _, opt := range strings.Split(options, ",") {
		key, value, valued := strings.Cut(opt, "=")
		pattern := tmpfsValues()[key]
		switch {
		case !valued && slices.Contains(tmpfsFlags, opt):
		case valued && pattern != nil && pattern.MatchString(value):
		default:
			return t, fmt.Errorf("unknown or malformed mount option %q", opt)
		}
		t.Options = append(t.Options, opt)
	}
	return t, nil
}
