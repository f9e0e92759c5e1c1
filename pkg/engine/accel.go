package engine

import (
	"context"
	"fmt"
	"os"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/qemu"
	"vpod/pkg/sidecar"
)

// kvmProbeLimit is how long the trial boot may take. A kernel is up in half a
// second where KVM works; nested and busy hosts get a margin, and the answer is
// kept until the host reboots.
const kvmProbeLimit = 6 * time.Second

// maxKVMAnswers bounds what is kept for kernels and builds that come and go.
const maxKVMAnswers = 64

// chooseAccel settles on an accelerator and returns the kernel arguments it
// needs. reason says why TCG is used although nobody asked for it.
func (e *Engine) chooseAccel(ctx context.Context, asked string, program string, trial qemu.Machine, foreignKernel bool) (accel qemu.Accel, args []string, reason string, err error) {
	choice, err := qemu.ParseAccelChoice(asked)
	if err != nil {
		return "", nil, "", err
	}
	cache, err := loadHostCache()
	if err != nil {
		return "", nil, "", err
	}
	accel, reason, err = qemu.ChooseAccel(choice, func() (qemu.ProbeResult, error) {
		return e.probeKVM(ctx, cache, program, trial)
	})
	if err != nil || accel != qemu.AccelTCG {
		return accel, nil, reason, err
	}
	if cache.TSCkHz == 0 {
		measured, err := qemu.MeasureTSC()
		if err != nil {
			e.opts.Log.Warn("measure the time stamp counter", "error", err)
			return accel, nil, reason, nil // the guest calibrates by itself
		}
		cache.settleTSC(measured)
		if err := cache.save(); err != nil {
			e.opts.Log.Warn("keep the counter's rate", "error", err)
		}
	}
	hz := int64(qemu.GuestHZ)
	if foreignKernel {
		hz = 0
	}
	return accel, qemu.TSCArgs(cache.TSCkHz, hz), reason, nil
}

// probeKVM answers whether KVM works here, by a trial boot when nobody has found
// out since the host booted.
func (e *Engine) probeKVM(ctx context.Context, cache *hostCache, program string, trial qemu.Machine) (qemu.ProbeResult, error) {
	if reason := qemu.CheckKVM(qemu.KVMDevice); reason != "" {
		return qemu.ProbeResult{Reason: reason}, nil
	}
	build, err := fileIdentity(program)
	if err != nil {
		return qemu.ProbeResult{}, fmt.Errorf("probe KVM: %w", err)
	}
	kernel, err := fileIdentity(trial.Kernel)
	if err != nil {
		return qemu.ProbeResult{}, fmt.Errorf("probe KVM: %w", err)
	}
	key := build + " " + kernel
	if answer, ok := cache.KVM[key]; ok {
		return answer, nil
	}
	e.opts.Notice("finding out whether KVM works here, once")
	trial.Accel = qemu.AccelKVM
	spawner := sidecar.NewSpawner()
	defer spawner.Close()
	start := func(ctx context.Context, args []string, files []*os.File) (qemu.Process, error) {
		return spawner.Start(ctx, sidecar.Command{Name: "QEMU", Path: program, Args: args, Files: files})
	}
	answer, err := qemu.ProbeKVM(ctx, kvmProbeLimit, qemu.TrialBoot(start, trial))
	if err != nil {
		return answer, err
	}
	if !answer.Works {
		e.opts.Notice("machines are emulated (TCG): " + answer.Reason)
	}
	if cache.KVM == nil || len(cache.KVM) >= maxKVMAnswers {
		cache.KVM = map[string]qemu.ProbeResult{}
	}
	cache.KVM[key] = answer
	if err := cache.save(); err != nil {
		e.opts.Log.Warn("keep the answer of the KVM probe", "error", err)
	}
	return answer, nil
}

// trialMachine is the least machine a kernel boots in.
func trialMachine(spec container.Spec, g guestFiles) qemu.Machine {
	board := qemu.Board(spec.Machine.Board)
	return qemu.Machine{
		Name: "vpod-probe", Board: board, MemoryBytes: 2 * qemu.LeastMemoryBytes(board), CPUs: 1,
		Kernel: g.Kernel, Initrd: g.Initramfs,
	}
}
