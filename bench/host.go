package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// environment is what a table was measured on.
type environment struct {
	Date        string `json:"date"`
	CPU         string `json:"cpu"`
	Processors  int    `json:"processors"`
	MemoryBytes int64  `json:"memoryBytes"`
	Kernel      string `json:"kernel"`
	User        string `json:"user"`
	LoadBefore  string `json:"loadBefore"` // averages of 1, 5 and 15 minutes
	LoadAfter   string `json:"loadAfter"`

	Vpod        string `json:"vpod"`
	QEMU        string `json:"qemu"`
	Accelerator string `json:"accelerator"`
	Board       string `json:"board"`
	GuestKernel string `json:"guestKernel"`
	Templates   bool   `json:"templates"` // machines start from templates unless told not to
	Podman      string `json:"podman,omitempty"`
	Runtime     string `json:"runtime,omitempty"`
	NoPodman    string `json:"noPodman,omitempty"`
	Quick       bool   `json:"quick"`
}

// prepare has vpod do what it does once (convert the image, find the accelerator, make
// a template), finds podman, and looks at what there is.
func (w *world) prepare(ctx context.Context) (environment, error) {
	e := environment{Date: time.Now().UTC().Format(time.DateOnly), Processors: runtime.NumCPU(), LoadBefore: load(), Quick: w.quick}
	e.CPU, e.MemoryBytes = hardware()
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return e, err
	}
	e.Kernel = unix.ByteSliceToString(uts.Release[:])
	e.User = fmt.Sprint(os.Getuid())
	if u, err := user.Current(); err == nil {
		e.User = u.Username
	}

	image, err := w.image(ctx, w.vpod, busyboxImage)
	if err != nil {
		return e, err
	}
	if _, err := w.runSettled(ctx, w.vpod.container("run", "--rm", "--network", "none", image, "true")...); err != nil {
		return e, err
	}
	if err := w.keepRunning(ctx, w.vpod, "look"); err != nil {
		return e, err
	}
	look, err := w.run(ctx, w.vpod.command("inspect", "--format", "{{.VM.Accel}} {{.VM.Board}} {{.VM.Kernel}} {{.VM.Template}}", "look")...)
	if err != nil {
		return e, err
	}
	if err := w.vpod.remove(ctx, w, "look"); err != nil {
		return e, err
	}
	f := strings.Fields(look.stdout)
	if len(f) < 3 {
		return e, fmt.Errorf("inspect says %q of the machine", look.stdout)
	}
	e.Accelerator, e.Board, e.GuestKernel = f[0], f[1], f[2]
	e.Templates = len(f) > 3
	version, err := w.run(ctx, w.vpod.command("version", "--format", "{{.Client.Version}}")...)
	if err != nil {
		return e, err
	}
	e.Vpod = version.stdout
	e.QEMU = w.firstLine(ctx, "qemu-system-x86_64", "--version")
	e.QEMU, _, _ = strings.Cut(strings.Replace(e.QEMU, " emulator version", "", 1), " (") // without the packager's

	if err := w.findPodman(ctx); err != nil {
		return e, err
	}
	e.NoPodman = w.noPodman
	if w.podman != nil {
		e.Podman = w.firstLine(ctx, "podman", "--version")
		e.Runtime = w.firstLine(ctx, "crun", "--version")
	}
	return e, nil
}

// firstLine of what a command prints; "" when it cannot be run.
func (w *world) firstLine(ctx context.Context, argv ...string) string {
	r, _ := w.run(ctx, argv...)
	line, _, _ := strings.Cut(r.stdout, "\n")
	return line
}

// hardware returns the processor's name and the machine's memory.
func hardware() (cpu string, memoryBytes int64) {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	b, _ = os.ReadFile("/proc/meminfo")
	if f := strings.Fields(string(b)); len(f) > 1 { // MemTotal: N kB
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		memoryBytes = kib << 10
	}
	return cpu, memoryBytes
}

// load is the machine's load averages.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(b)); len(f) > 2 {
		return strings.Join(f[:3], " ")
	}
	return "unknown"
}

// lines says it in sentences of the report.
func (e environment) lines() []string {
	how := "emulated (TCG)"
	if e.Accelerator != "tcg" {
		how = "accelerated by " + strings.ToUpper(e.Accelerator)
	}
	start := "every start cold"
	if e.Templates {
		start = "started from templates"
	}
	lines := []string{
		fmt.Sprintf("vpod %s, %s: %s, board %s, guest kernel %s, %s.", e.Vpod, e.QEMU, how, e.Board, e.GuestKernel, start),
	}
	if e.NoPodman != "" {
		lines = append(lines, strings.TrimSuffix(e.NoPodman, ".")+": vpod's figures alone.")
	} else {
		lines = append(lines, fmt.Sprintf("%s, %s.", e.Podman, e.Runtime))
	}
	lines = append(lines,
		fmt.Sprintf("%d × %s, %.0f GiB, Linux %s, as %s, on %s; load average %s before, %s after.",
			e.Processors, e.CPU, float64(e.MemoryBytes)/(1<<30), e.Kernel, e.User, e.Date, e.LoadBefore, e.LoadAfter))
	if busy(e.LoadBefore, e.Processors) {
		lines = append(lines, "The machine was not quiet: the ratios count, the times do not.")
	}
	what := "Medians (lowest–highest, runs), the programs in turns; image converted, caches of the host warm."
	if e.Quick {
		what += " Few runs (--quick)."
	}
	return append(lines, what)
}

// busy says whether others used more than a quarter of the machine.
func busy(load string, processors int) bool {
	one, _, _ := strings.Cut(load, " ")
	v, err := strconv.ParseFloat(one, 64)
	return err == nil && v > float64(processors)/4
}
