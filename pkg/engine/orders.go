package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
	"vpod/pkg/qemu"
	"vpod/pkg/sidecar"
)

// orders finds out what a start depends on and plans it. The container's
// operation lock is held.
func (e *Engine) orders(ctx context.Context, c container.Container, files paths.Container) (*monitor.Launch, error) {
	spec := c.Spec
	host := hostFacts{
		Files:       files,
		HostCPUs:    runtime.NumCPU(),
		BootTimeout: config.BootTimeout,
	}
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find vpod's own executable: %w", err)
	}
	host.Release = e.releaseCommand(exe, spec.ID)
	if err := e.machineFacts(ctx, spec, &host); err != nil {
		return nil, err
	}
	e.opts.Timing.Mark("find QEMU, the guest's files and the accelerator")
	if host.Seccomp, err = seccompFilter(spec); err != nil {
		return nil, err
	}
	e.opts.Timing.Mark("compile the seccomp filter")
	if spec.TZ != "" {
		if host.TimeZone, err = readTimeZone(spec.TZ); err != nil {
			return nil, err
		}
	}
	cfg, err := config.Load()
	if err != nil {
		return nil, err
	}
	if host.Network, err = networkPlan(spec, cfg.BaseHostsFile); err != nil {
		return nil, err
	}
	e.opts.Timing.Mark("plan the network")
	if host.ImageDisk, host.ShareDir, err = e.readyRootfs(ctx, spec, files); err != nil {
		return nil, err
	}
	if spec.Rootfs.Mode == container.RootfsVirtiofs {
		if host.Virtiofsd, err = sidecar.FindVirtiofsd(os.Getenv("PATH")); err != nil {
			return nil, err
		}
	}
	l, err := plan(spec, host)
	if err != nil {
		return nil, err
	}
	l.Timing = e.opts.Timing != nil
	e.opts.Timing.Mark("find the disks, plan the machine")
	err = e.chooseTemplate(ctx, spec, host, l)
	e.opts.Timing.Mark("choose the template")
	return l, err
}

// machineFacts finds QEMU, the guest's files and the accelerator.
func (e *Engine) machineFacts(ctx context.Context, spec container.Spec, host *hostFacts) error {
	program, err := qemu.Find("")
	if err != nil {
		return err
	}
	opts := e.opts
	if spec.Machine.Kernel != "" {
		opts.Kernel = spec.Machine.Kernel
	}
	guest, err := findGuestFiles(opts)
	if err != nil {
		return err
	}
	if spec.Machine.Kernel != "" {
		kernels := filepath.Join(e.dirs.Cache(), "kernels")
		if err := os.MkdirAll(kernels, 0o700); err != nil {
			return fmt.Errorf("--kernel: %w", err)
		}
		guest.Kernel, err = qemu.PrepareKernel(spec.Machine.Kernel, func(sha string) string { return filepath.Join(kernels, sha) })
		if err != nil {
			return fmt.Errorf("--kernel: %w", err)
		}
	}
	accel, args, _, err := e.chooseAccel(ctx, spec.Machine.Accel, program, trialMachine(spec, guest), spec.Machine.Kernel != "")
	if err != nil {
		return err
	}
	host.QEMU, host.Kernel, host.Initramfs = program, guest.Kernel, guest.Initramfs
	host.Accel, host.KernelArgs = accel, args
	return nil
}

// releaseCommand is what the monitor runs as its last act when nobody else
// cleans up.
func (e *Engine) releaseCommand(exe, id string) []string {
	cmd := []string{exe}
	if e.opts.Paths.Root != "" {
		cmd = append(cmd, "--root", e.opts.Paths.Root)
	}
	if e.opts.Paths.RunRoot != "" {
		cmd = append(cmd, "--runroot", e.opts.Paths.RunRoot)
	}
	return append(cmd, releaseVerb, id)
}
