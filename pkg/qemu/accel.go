package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"time"
)

// KVMDevice is the host's device node.
const KVMDevice = "/dev/kvm"

// ProbeResult is the answer to "does KVM work here?". It depends on the host's boot, the build of QEMU and the guest's
// kernel; callers keep it as long as these stay the same.
type ProbeResult struct {
	Works  bool          `json:"works"`
	Reason string        `json:"reason,omitempty"` // why not, for people
	Took   time.Duration `json:"took,omitempty"`   // of the trial boot, nanoseconds
}

// BootID is the host's boot id.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the host's boot id: %w", err)
	}
	const uuidBytes = 36
	if len(b) < uuidBytes {
		return "", fmt.Errorf("the host's boot id %q is too short", b)
	}
	return string(b[:uuidBytes]), nil
}

// CheckKVM looks at the device alone and returns why KVM cannot work, or "" when it might. This costs nothing and is
// asked anew each time: a user who joins the group kvm must not have to wait for a reboot.
func CheckKVM(device string) (reason string) {
	if runtime.GOARCH != "amd64" {
		return "the guest is amd64 and this host is " + runtime.GOARCH
	}
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	switch {
	case err == nil:
		f.Close()
		return ""
	case errors.Is(err, fs.ErrNotExist):
		return "no " + device
	case errors.Is(err, fs.ErrPermission):
		return device + ": permission denied: join the group kvm"
	default:
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return fmt.Sprintf("%s cannot be opened: %v", device, err)
	}
}

// ErrProbeTimeout: the trial boot was still going on at its deadline.
var ErrProbeTimeout = errors.New("trial boot did not finish")

// ProbeKVM finds out whether KVM works by booting the guest's kernel: there are hosts where the device opens, takes
// every ioctl, and no ordinary kernel gets anywhere. boot does it (see TrialBoot) and returns nil once the kernel has
// started its first process. An error is returned only when ctx ends, which says nothing about KVM.
func ProbeKVM(ctx context.Context, limit time.Duration, boot func(context.Context) error) (ProbeResult, error) {
	trial, cancel := context.WithTimeoutCause(ctx, limit, ErrProbeTimeout)
	defer cancel()
	start := time.Now()
	err := boot(trial)
	took := time.Since(start).Round(time.Millisecond)
	switch {
	case err == nil:
		return ProbeResult{Works: true, Took: took}, nil
	case ctx.Err() != nil:
		return ProbeResult{}, fmt.Errorf("probe KVM: %w", context.Cause(ctx))
	case errors.Is(context.Cause(trial), ErrProbeTimeout):
		return ProbeResult{Reason: fmt.Sprintf("%s opens but did not boot the guest kernel within %s", KVMDevice, limit), Took: took}, nil
	default:
		return ProbeResult{Reason: fmt.Sprintf("%s opens but did not boot the guest kernel: %v", KVMDevice, err), Took: took}, nil
	}
}

// AccelChoice is what a user may ask for.
type AccelChoice string

// The choices.
const (
	ChooseAuto AccelChoice = "auto"
	ChooseKVM  AccelChoice = AccelChoice(AccelKVM)
	ChooseTCG  AccelChoice = AccelChoice(AccelTCG)
)

// ParseAccelChoice reads a user's word; empty means auto.
func ParseAccelChoice(s string) (AccelChoice, error) {
	switch c := AccelChoice(s); c {
	case "":
		return ChooseAuto, nil
	case ChooseAuto, ChooseKVM, ChooseTCG:
		return c, nil
	}
	return "", &FieldError{"Accel", s, "is no accelerator vpod knows", "use kvm, tcg or auto"}
}

// ChooseAccel settles on an accelerator. probe is asked only if the choice leaves it open. reason says why TCG is
// used although it was not asked for, else it is empty. A demand for KVM where it does not work is an *AccelError.
func ChooseAccel(choice AccelChoice, probe func() (ProbeResult, error)) (accel Accel, reason string, err error) {
	if choice == ChooseTCG {
		return AccelTCG, "", nil
	}
	result, err := probe()
	if err != nil {
		return "", "", err
	}
	switch {
	case result.Works:
		return AccelKVM, "", nil
	case choice == ChooseKVM:
		return "", "", &AccelError{Reason: result.Reason}
	default:
		return AccelTCG, result.Reason, nil
	}
}
