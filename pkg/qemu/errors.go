package qemu

import "fmt"

// FieldError reports a value in a Machine that no QEMU could be started with.
type FieldError struct {
	Field   string // as in Go: "MemoryBytes", "Disks[0].Serial"
	Value   string
	Problem string // what is wrong with it
	Remedy  string // what to do
}

func (e *FieldError) Error() string {
	text := fmt.Sprintf("machine: %s %q %s", e.Field, e.Value, e.Problem)
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// MemoryError reports less memory than the guest kernel boots with.
type MemoryError struct {
	Bytes, LeastBytes int64
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("machine: %d MiB of memory are too little for the guest's kernel: give at least %d MiB",
		e.Bytes>>20, e.LeastBytes>>20)
}

// NotFoundError reports that there is no QEMU to run.
type NotFoundError struct {
	Path string // as given, or the name searched for in PATH
	Err  error
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("QEMU (%s) cannot be run: %v: install it (Debian: apt install qemu-system-x86) or name another binary", e.Path, e.Err)
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// AccelError reports that KVM was demanded and does not work.
type AccelError struct {
	Reason string
}

func (e *AccelError) Error() string {
	return "KVM does not work here (" + e.Reason + "): use --accel tcg, or auto"
}

// KernelError reports a kernel file that cannot be booted.
type KernelError struct {
	Path    string
	Problem string
	Err     error // may be nil
}

func (e *KernelError) Error() string {
	text := fmt.Sprintf("kernel %s: %s", e.Path, e.Problem)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *KernelError) Unwrap() error { return e.Err }
