package engine

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"
	"strings"

	"github.com/containers/common/pkg/capabilities"
	"github.com/containers/common/pkg/signal"
	"github.com/docker/go-units"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/image"
	"vpod/pkg/qemu"
)

// resolve completes the spec the door filled in with what the image and the
// defaults say, as podman-run(1) describes. It is pure; afterwards nothing
// changes the spec any more.
func resolve(spec container.Spec, img image.Image, cfg *config.Config, opts CreateOptions) (container.Spec, error) {
	spec.Image = container.Image{
		ID:           img.ID,
		Name:         imageName(img, opts.Image),
		RawName:      opts.Image,
		Digest:       img.Digest,
		OS:           img.OS,
		Architecture: img.Arch,
		ExposedPorts: img.Config.ExposedPorts,
		Volumes:      sortedKeys(img.Config.Volumes),
		Healthcheck:  img.Healthcheck,
	}
	if err := checkPlatform(spec.Image); err != nil {
		return spec, err
	}
	var err error
	if spec.Process, err = resolveProcess(spec, img, cfg, opts.EntrypointSet); err != nil {
		return spec, err
	}
	if spec.Hostname == "" {
		spec.Hostname = spec.ID[:12]
	}
	spec.Labels = merged(img.Config.Labels, spec.Labels)
	if spec.StopSignal == "" {
		spec.StopSignal = img.Config.StopSignal
	}
	if spec.StopSignal == "" {
		spec.StopSignal = "SIGTERM"
	}
	if _, err := signal.ParseSignalNameOrNumber(spec.StopSignal); err != nil {
		return spec, fmt.Errorf("stop signal %q: %w", spec.StopSignal, err)
	}
	if spec.Sysctls, err = resolveSysctls(cfg.Sysctls, spec.Sysctls); err != nil {
		return spec, err
	}
	if spec.TZ == "" {
		spec.TZ = cfg.TZ
	}
	resolveRootfs(&spec, cfg)
	return spec, resolveMachine(&spec)
}

// resolveProcess completes the first process.
func resolveProcess(spec container.Spec, img image.Image, cfg *config.Config, entrypointSet bool) (container.Process, error) {
	p := spec.Process
	if !entrypointSet {
		p.Entrypoint = img.Config.Entrypoint
		if len(p.Command) == 0 {
			p.Command = img.Config.Cmd
		}
	}
	if len(p.Args()) == 0 {
		return p, errors.New("no command or entrypoint provided, and no CMD or ENTRYPOINT from image")
	}
	if p.WorkDir == "" {
		p.WorkDir = img.Config.WorkingDir
	}
	if p.WorkDir == "" {
		p.WorkDir = "/"
	}
	if p.User == "" {
		p.User = img.Config.User
	}
	if p.Umask == "" {
		p.Umask = cfg.Umask
	}
	p.Env = mergeEnv(cfg.Env, []string{"container=vpod", "TERM=xterm"}, img.Config.Env, []string{"HOSTNAME=" + hostnameOf(spec)}, p.Env)
	base := cfg.Capabilities
	if spec.Privileged {
		base = capabilities.AllCapabilities()
	}
	var err error
	if p.CapAdd, err = capabilities.NormalizeCapabilities(p.CapAdd); err != nil {
		return p, fmt.Errorf("--cap-add: %w", err)
	}
	if p.CapDrop, err = capabilities.NormalizeCapabilities(p.CapDrop); err != nil {
		return p, fmt.Errorf("--cap-drop: %w", err)
	}
	caps, err := capabilities.MergeCapabilities(base, p.CapAdd, p.CapDrop)
	if err != nil {
		return p, fmt.Errorf("--cap-add or --cap-drop: %w", err)
	}
	p.Capabilities = caps
	if spec.Privileged && p.Seccomp == "" {
		p.Seccomp = "unconfined"
	}
	return p, nil
}

// hostnameOf is the host name the container will have.
func hostnameOf(spec container.Spec) string {
	if spec.Hostname != "" {
		return spec.Hostname
	}
	return spec.ID[:12]
}

// resolveRootfs fills in sizes.
func resolveRootfs(spec *container.Spec, cfg *config.Config) {
	if spec.Rootfs.Mode == "" {
		spec.Rootfs.Mode = container.RootfsDisk
	}
	if spec.Rootfs.SizeBytes == 0 {
		spec.Rootfs.SizeBytes = config.ScratchBytes
	}
	if spec.Rootfs.ShmBytes == 0 {
		spec.Rootfs.ShmBytes = cfg.ShmBytes
	}
}

// maxCPUs is what both boards and the guest kernel take (CONFIG_NR_CPUS in
// guest/kernel/config).
const maxCPUs = 64

// resolveMachine fills in and checks what the virtual machine is like.
func resolveMachine(spec *container.Spec) error {
	m := &spec.Machine
	if m.MemoryBytes == 0 {
		m.MemoryBytes = config.MemoryBytes
	}
	if m.Board == "" {
		m.Board = config.Board
	}
	if least := qemu.LeastMemoryBytes(qemu.Board(m.Board)); m.MemoryBytes < least {
		return fmt.Errorf("--memory %s is too small for a machine: the least that works is %dm, for the guest's kernel needs memory too", units.BytesSize(float64(m.MemoryBytes)), least>>20)
	}
	// QEMU and the guest count in pages; a whole MiB keeps both content.
	m.MemoryBytes = (m.MemoryBytes + 1<<20 - 1) &^ (1<<20 - 1)
	if m.CPUs < 0 || m.CPUs > maxCPUs {
		return fmt.Errorf("--cpus %g: a machine has from 1 to %d, fractions are rounded up to a whole CPU with a quota", m.CPUs, maxCPUs)
	}
	if m.CPUs > float64(runtime.NumCPU()) {
		return fmt.Errorf("--cpus %g: this host has %d", m.CPUs, runtime.NumCPU())
	}
	if m.Accel == "" {
		m.Accel = config.Accel
	}
	return nil
}

// vcpus is how many virtual CPUs a machine gets. Unasked, one under emulation,
// where each costs start-up time (docs/design/machine.md), and all of the host's
// where they are real.
func vcpus(asked float64, accel qemu.Accel, hostCPUs int) int {
	if asked > 0 {
		return int(math.Ceil(asked))
	}
	if accel == qemu.AccelKVM {
		return min(hostCPUs, maxCPUs)
	}
	return 1
}

// checkPlatform refuses an image this host's machines cannot run.
func checkPlatform(img container.Image) error {
	if img.OS != "" && img.OS != "linux" {
		return fmt.Errorf("image %s is for %s: vpod's machines run linux", img.Name, img.OS)
	}
	want := runtime.GOARCH
	if img.Architecture == "" || img.Architecture == want || (want == "amd64" && img.Architecture == "386") {
		return nil
	}
	return fmt.Errorf("image %s is for linux/%s, and the guest kernel is for linux/%s: pull it with --platform linux/%s, if it exists for that", img.Name, img.Architecture, want, want)
}

// imageName is the name inspect and ps show for an image: the reference the
// user's word resolved to, or the word itself when it was an id.
func imageName(img image.Image, asked string) string {
	if img.Name != "" {
		return img.Name
	}
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return asked
}

// mergeEnv lays lists of "KEY=value" over each other, later ones winning, and
// returns the result sorted by key.
func mergeEnv(lists ...[]string) []string {
	byKey := map[string]string{}
	for _, list := range lists {
		for _, kv := range list {
			key, value, _ := strings.Cut(kv, "=")
			byKey[key] = value
		}
	}
	out := make([]string, 0, len(byKey))
	for key, value := range byKey {
		out = append(out, key+"="+value)
	}
	sort.Strings(out)
	return out
}

// resolveSysctls lays the user's sysctls over the default ones.
func resolveSysctls(defaults []string, asked map[string]string) (map[string]string, error) {
	out := map[string]string{}
	for _, kv := range defaults {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fmt.Errorf("default sysctl %q in containers.conf: the form is key=value", kv)
		}
		out[key] = value
	}
	for key, value := range asked {
		out[key] = value
	}
	return out, nil
}

// merged lays b over a.
func merged(a, b map[string]string) map[string]string {
	out := make(map[string]string, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		out[k] = v
	}
	return out
}

// sortedKeys returns the keys of a set in order.
func sortedKeys(set map[string]struct{}) []string {
	var keys []string
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
