package qemu

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// GuestHZ is CONFIG_HZ of vpod's guest kernel (guest/kernel/config).
const GuestHZ = 100

// ErrNoTSC is returned on hosts without a time stamp counter.
var ErrNoTSC = errors.New("this host has no time stamp counter")

// TSCArgs are the kernel arguments that keep an emulated guest from calibrating its clocks against timers which a
// busy host serves late: microvm then hangs for ever in the delay loop (16 of 40 boots on a loaded host, 0 of 40
// with the arguments). Under TCG the guest's time stamp counter runs at the host's rate. hz is the guest kernel's
// CONFIG_HZ; a kernel with another one gets a delay loop that is off by the ratio, so pass 0 for a foreign kernel
// to leave lpj= out. A foreign kernel is also told to trust the counter, as vpod's own is built to (guest/kernel/config):
// QEMU never lets it go back, and a watchdog that loses ticks would put a slower clock in its place. Every x86 kernel
// knows the word.
func TSCArgs(khz int64, hz int64) []string {
	if khz <= 0 {
		return nil
	}
	args := []string{fmt.Sprintf("tsc_early_khz=%d", khz)}
	if hz > 0 {
		return append(args, fmt.Sprintf("lpj=%d", khz*1000/hz))
	}
	return append(args, "tsc=reliable")
}

// MeasureTSC measures the rate of the host's time stamp counter in kHz against CLOCK_MONOTONIC_RAW, which no clock
// discipline bends. It takes about 10 ms; what /proc/cpuinfo says is the core's clock, not the counter's. The rate
// does not change until the host reboots, so callers may keep it by boot id.
func MeasureTSC() (khz int64, err error) {
	if !haveTSC {
		return 0, ErrNoTSC
	}
	ticks0, nanos0, err := readClocks()
	if err != nil {
		return 0, err
	}
	time.Sleep(10 * time.Millisecond)
	ticks1, nanos1, err := readClocks()
	if err != nil {
		return 0, err
	}
	ticks, nanos := ticks1-ticks0, nanos1-nanos0
	if ticks <= 0 || nanos <= 0 {
		return 0, fmt.Errorf("time stamp counter moved by %d ticks in %d ns", ticks, nanos)
	}
	khz = int64(float64(ticks) / float64(nanos) * 1e6)
	// Far off any counter ever built: a host that traps or fakes it.
	if khz < 100_000 || khz > 20_000_000 {
		return 0, fmt.Errorf("time stamp counter at %d kHz is not believable", khz)
	}
	return khz, nil
}

// readClocks reads both clocks at one moment: of several tries, the one in which least time passed between the two
// reads of the counter around the clock's, so that an interruption does no harm.
func readClocks() (ticks, nanos int64, err error) {
	least := int64(-1)
	for range 16 {
		var ts unix.Timespec
		before := rdtsc()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &ts); err != nil {
			return 0, 0, fmt.Errorf("read CLOCK_MONOTONIC_RAW: %w", err)
		}
		after := rdtsc()
		if window := after - before; least < 0 || window < least {
			least, ticks, nanos = window, before+window/2, ts.Nano()
		}
	}
	return ticks, nanos, nil
}
