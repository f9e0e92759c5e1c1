package engine

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/qemu"
)

// Info is what `info` prints: Podman's sections, and machine.
type Info struct {
	Host    InfoHost    `json:"host"`
	Machine InfoMachine `json:"machine"`
	Store   InfoStore   `json:"store"`
	Version VersionInfo `json:"version"`
}

// InfoHost describes the host.
type InfoHost struct {
	Arch         string           `json:"arch"`
	CPUs         int              `json:"cpus"`
	Distribution InfoDistribution `json:"distribution"`
	Hostname     string           `json:"hostname"`
	Kernel       string           `json:"kernel"`
	LogDriver    string           `json:"logDriver"`
	MemFree      int64            `json:"memFree"`  // bytes
	MemTotal     int64            `json:"memTotal"` // bytes
	OS           string           `json:"os"`
	Security     InfoSecurity     `json:"security"`
}

// InfoDistribution names the host's distribution.
type InfoDistribution struct {
	Distribution string `json:"distribution"`
	Version      string `json:"version"`
}

// InfoSecurity says with what rights vpod works.
type InfoSecurity struct {
	Rootless     bool   `json:"rootless"`
	Capabilities string `json:"capabilities"` // a container's default set
}

// InfoMachine says what virtual machines are made of here.
type InfoMachine struct {
	Accel         string `json:"accel"`       // what --accel auto comes to
	AccelReason   string `json:"accelReason"` // why it is not kvm; "" when it is
	DefaultBoard  string `json:"defaultBoard"`
	DefaultMemory int64  `json:"defaultMemory"` // bytes
	QEMU          string `json:"qemu"`
	QEMUVersion   string `json:"qemuVersion"`
	Kernel        string `json:"kernel"`
	Initramfs     string `json:"initramfs"`
	Network       string `json:"network"` // helper of the user network: a path, or "built into QEMU"
	MkfsErofs     string `json:"mkfsErofs"`
}

// InfoStore says where images and containers are kept.
type InfoStore struct {
	ContainerStore  InfoContainers `json:"containerStore"`
	GraphDriverName string         `json:"graphDriverName"`
	GraphRoot       string         `json:"graphRoot"`
	ImageStore      InfoImages     `json:"imageStore"`
	RunRoot         string         `json:"runRoot"`
	DataDir         string         `json:"dataDir"` // vpod's own
	RunDir          string         `json:"runDir"`
	Warnings        []string       `json:"warnings"`
}

// InfoContainers counts containers.
type InfoContainers struct {
	Number  int `json:"number"`
	Running int `json:"running"`
	Stopped int `json:"stopped"`
}

// InfoImages counts images.
type InfoImages struct {
	Number int `json:"number"`
}

// Info finds out about the host. What is missing on it shows as an empty value
// or a warning, not as an error: that is what one looks at info for.
func (e *Engine) Info(ctx context.Context) (*Info, error) {
	cfg, err := config.Load()
	if err != nil {
		return nil, err
	}
	out := &Info{
		Host:    infoHost(cfg),
		Version: e.Version().Client,
		Store:   InfoStore{DataDir: e.dirs.Data, RunDir: e.dirs.Run, Warnings: []string{}},
	}
	warn := func(what string, err error) {
		if err != nil {
			out.Store.Warnings = append(out.Store.Warnings, fmt.Sprintf("%s: %v", what, err))
		}
	}
	out.Machine = e.infoMachine(ctx, warn)
	all, err := e.observeAll(ctx)
	if err != nil {
		return nil, err
	}
	out.Store.ContainerStore.Number = len(all)
	for _, c := range all {
		if c.live != nil {
			out.Store.ContainerStore.Running++
		} else {
			out.Store.ContainerStore.Stopped++
		}
	}
	warn("image store", e.infoImages(ctx, &out.Store))
	return out, nil
}

// infoMachine finds out what a machine started now would be.
func (e *Engine) infoMachine(ctx context.Context, warn func(string, error)) InfoMachine {
	m := InfoMachine{DefaultBoard: config.Board, DefaultMemory: config.MemoryBytes}
	g, err := findGuestFiles(e.opts)
	warn("guest files", err)
	m.Kernel, m.Initramfs = g.Kernel, g.Initramfs
	m.MkfsErofs, err = exec.LookPath("mkfs.erofs")
	warn("mkfs.erofs (Debian package erofs-utils)", err)
	m.Network = networkHelper()
	if m.QEMU, err = qemu.Find(""); err != nil {
		warn("QEMU", err)
		return m
	}
	v, err := qemu.QueryVersion(ctx, m.QEMU)
	warn("QEMU", err)
	m.QEMUVersion = v.String()
	if g.Kernel == "" {
		return m
	}
	spec := container.Spec{Machine: container.Machine{Board: config.Board}}
	accel, _, reason, err := e.chooseAccel(ctx, config.Accel, m.QEMU, trialMachine(spec, g), false)
	warn("accelerator", err)
	m.Accel, m.AccelReason = string(accel), reason
	return m
}

// infoHost describes the host.
func infoHost(cfg *config.Config) InfoHost {
	h := InfoHost{
		Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), OS: runtime.GOOS, LogDriver: cfg.LogDriver,
		Security: InfoSecurity{Rootless: rootless(), Capabilities: strings.Join(cfg.Capabilities, ",")},
	}
	h.Hostname, _ = os.Hostname()
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		h.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	mem := readFields("/proc/meminfo", ":")
	h.MemTotal, h.MemFree = kib(mem["MemTotal"]), kib(mem["MemFree"])
	release := readFields("/etc/os-release", "=")
	h.Distribution = InfoDistribution{Distribution: strings.Trim(release["ID"], `"`), Version: strings.Trim(release["VERSION_ID"], `"`)}
	return h
}

// readFields reads a file of "key<sep>value" lines; what cannot be read is left out.
func readFields(path, sep string) map[string]string {
	out := map[string]string{}
	f, err := os.Open(path)
	if err != nil {
		return out
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), sep); ok {
			out[key] = strings.TrimSpace(value)
		}
	}
	return out
}

// kib reads "123 kB" as bytes.
func kib(s string) int64 {
	n, _ := strconv.ParseInt(strings.TrimSuffix(s, " kB"), 10, 64)
	return n << 10
}
