package seccomp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childEnv makes the test binary install a filter and try system calls.
const childEnv = "VPOD_TEST_SECCOMP_CHILD"

// exitRefused is the child's status when the kernel does not let it install.
const exitRefused = 77

// order is what the child reads from its standard input. It answers with a
// JSON array of errno, one for each call.
type order struct {
	Program []byte
	Flags   uint32
	Calls   [][7]uint64 // number and arguments
}

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child filters its own thread only, so that the other threads of the Go
// runtime stay free.
func child() int {
	var o order
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	runtime.LockOSThread()
	if err := install(o.Program, o.Flags); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return exitRefused
	}
	var answers []int
	for _, c := range o.Calls {
		_, _, errno := syscall.RawSyscall6(uintptr(c[0]), uintptr(c[1]), uintptr(c[2]),
			uintptr(c[3]), uintptr(c[4]), uintptr(c[5]), uintptr(c[6]))
		answers = append(answers, int(errno))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		return 1
	}
	return 0
}

func install(program []byte, flags uint32) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	prog := unix.SockFprog{
		Len:    uint16(len(program) / insnBytes),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])),
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return fmt.Errorf("seccomp(SECCOMP_SET_MODE_FILTER): %w", errno)
	}
	return nil
}

// runChild returns what the child answers and how it ended.
func runChild(t *testing.T, o order) ([]int, error) {
	t.Helper()
	in, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stdin = bytes.NewReader(in)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == exitRefused {
		// A refusal of the program itself is a bug of ours: EINVAL, EFAULT.
		if bytes.Contains(stderr.Bytes(), []byte(unix.EINVAL.Error())) {
			t.Fatalf("kernel rejects the program: %s", &stderr)
		}
		t.Skipf("this machine does not let a process install a filter: %s", &stderr)
	}
	var answers []int
	if err == nil {
		err = json.Unmarshal(stdout.Bytes(), &answers)
	}
	return answers, err
}

const self = ^uint64(0) // an argument that no descriptor or process has

type attempt struct {
	name string
	call [7]uint64
	want syscall.Errno
}

func tryAll(t *testing.T, p *Profile, caps []string, attempts []attempt) {
	t.Helper()
	prog, err := Compile(p, Target{Arch: runtime.GOARCH, Caps: caps})
	if err != nil {
		t.Fatal(err)
	}
	flags, err := p.FilterFlags()
	if err != nil {
		t.Fatal(err)
	}
	o := order{Program: prog, Flags: flags}
	for _, a := range attempts {
		o.Calls = append(o.Calls, a.call)
	}
	answers, err := runChild(t, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != len(attempts) {
		t.Fatalf("%d answers to %d calls", len(answers), len(attempts))
	}
	for i, a := range attempts {
		if got := syscall.Errno(answers[i]); got != a.want {
			t.Errorf("%s: got %v (%d), want %v (%d)", a.name, got, int(got), a.want, int(a.want))
		}
	}
}

// Errors of the kernel, such as EBADF, show that a call passed the filter; all
// calls give the same error with and without privileges.
func TestInstallDefault(t *testing.T) {
	const netlink, audit, route, raw = unix.AF_NETLINK, unix.NETLINK_AUDIT, unix.NETLINK_ROUTE, unix.SOCK_RAW
	self32 := uint64(0xffffffff)
	common := []attempt{
		{"getpid", [7]uint64{unix.SYS_GETPID}, 0},
		{"close of nothing", [7]uint64{unix.SYS_CLOSE, self}, unix.EBADF},
		{"keyctl unknown operation", [7]uint64{unix.SYS_KEYCTL, 9999}, unix.EOPNOTSUPP},
		{"add_key", [7]uint64{unix.SYS_ADD_KEY}, unix.ENOSYS},
		{"request_key", [7]uint64{unix.SYS_REQUEST_KEY}, unix.ENOSYS},
		{"io_uring_setup", [7]uint64{unix.SYS_IO_URING_SETUP}, unix.ENOSYS},
		{"mount at null", [7]uint64{unix.SYS_MOUNT, 0, 0, 0, 0, 0}, unix.EFAULT},
		{"vmsplice", [7]uint64{unix.SYS_VMSPLICE, self}, unix.EPERM},
		{"userfaultfd", [7]uint64{unix.SYS_USERFAULTFD, self}, unix.EPERM},
		{"personality 0", [7]uint64{unix.SYS_PERSONALITY, 0}, 0},
		{"personality query", [7]uint64{unix.SYS_PERSONALITY, self32}, 0},
		{"personality query, high word set", [7]uint64{unix.SYS_PERSONALITY, self}, unix.ENOSYS},
		{"personality no randomising", [7]uint64{unix.SYS_PERSONALITY, 0x40000}, unix.ENOSYS},
		{"socket unix", [7]uint64{unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0}, 0},
		{"socket netlink route", [7]uint64{unix.SYS_SOCKET, netlink, raw, route}, 0},
		{"socket netlink 0x1_0000_0009", [7]uint64{unix.SYS_SOCKET, unix.AF_UNIX, raw, 1<<32 + audit}, unix.EPROTONOSUPPORT},
	}
	t.Run("podman's capabilities", func(t *testing.T) {
		tryAll(t, DefaultProfile(), podmanCaps, append(common, []attempt{
			{"chroot", [7]uint64{unix.SYS_CHROOT, 0}, unix.EFAULT},
			{"kcmp", [7]uint64{unix.SYS_KCMP, self, self, 99}, unix.EPERM},
			{"socket netlink audit", [7]uint64{unix.SYS_SOCKET, netlink, raw, audit}, unix.EINVAL},
			{"setns, allowed by an earlier rule", [7]uint64{unix.SYS_SETNS, self, 0}, unix.EBADF},
			{"open_by_handle_at", [7]uint64{unix.SYS_OPEN_BY_HANDLE_AT, self}, unix.EPERM},
		}...))
	})
	t.Run("no capabilities", func(t *testing.T) {
		tryAll(t, DefaultProfile(), nil, append(common, []attempt{
			{"chroot", [7]uint64{unix.SYS_CHROOT, 0}, unix.EPERM},
		}...))
	})
	t.Run("CAP_SYS_PTRACE", func(t *testing.T) {
		tryAll(t, DefaultProfile(), []string{"CAP_SYS_PTRACE"}, append(common, []attempt{
			{"kcmp of nobody", [7]uint64{unix.SYS_KCMP, self, self, 99}, unix.ESRCH},
		}...))
	})
}

// TestInstallUserProfile uses rules as Docker's profile has them.
func TestInstallUserProfile(t *testing.T) {
	p := DefaultProfile()
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		s.Names = without(s.Names, "clone", "mount", "socket")
		if len(s.Names) == 0 {
			s.Names = []string{"no_such_call"}
		}
	}
	p.DefaultErrno, p.DefaultErrnoRet = "EPERM", nil
	p.Flags = []string{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"}
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
		unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP
	p.Syscalls = append(p.Syscalls,
		Rule{Names: []string{"clone"}, Action: ActAllow, Args: []Arg{{Index: 0, Value: namespaces, Op: OpMaskedEqual}}},
		Rule{Names: []string{"socket"}, Action: ActAllow, Args: []Arg{{Index: 0, Value: unix.AF_VSOCK, Op: OpNotEqual}}},
		Rule{Names: []string{"dup3"}, Action: ActErrno, Errno: "EXDEV", Args: []Arg{{Index: 0, Value: 5000, Op: OpGreaterThan}}},
	)
	for i := range 300 { // near the kernel's limit
		p.Syscalls = append(p.Syscalls, Rule{
			Names: []string{"acct"}, Action: ActErrno, Errno: "EDOM",
			Args: []Arg{{Index: 0, Value: uint64(i) << 32, Op: OpEqualTo}},
		})
	}
	p.Syscalls = append(p.Syscalls, Rule{Names: []string{"clock_settime"}, Action: ActTrace})
	for i := range p.Syscalls {
		p.Syscalls[i].Excludes.Caps = nil // so that acct's conditions count
		if len(p.Syscalls[i].Names) > 0 && p.Syscalls[i].Names[0] == "acct" && len(p.Syscalls[i].Args) == 0 {
			p.Syscalls[i].Names = []string{"no_such_call"}
		}
	}
	tryAll(t, p, nil, []attempt{
		{"clone of a user namespace", [7]uint64{unix.SYS_CLONE, unix.CLONE_NEWUSER}, unix.EPERM},
		{"clone with impossible flags", [7]uint64{unix.SYS_CLONE, unix.CLONE_SIGHAND}, unix.EINVAL},
		{"mount", [7]uint64{unix.SYS_MOUNT}, unix.EPERM},
		{"socket vsock", [7]uint64{unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, 0}, unix.EPERM},
		{"socket unix", [7]uint64{unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM, 0}, 0},
		{"dup3 5000, allowed by a rule without conditions", [7]uint64{unix.SYS_DUP3, 5001, 6000, 0}, unix.EBADF},
		{"acct, 300th condition", [7]uint64{unix.SYS_ACCT, 299 << 32}, unix.EDOM},
		{"acct, no condition", [7]uint64{unix.SYS_ACCT, 299<<32 + 1}, unix.EPERM},
		{"clock_settime traced by nobody", [7]uint64{unix.SYS_CLOCK_SETTIME, 0, 0}, unix.ENOSYS},
	})
}

func TestInstallKill(t *testing.T) {
	p := DefaultProfile()
	p.Syscalls = append(p.Syscalls, Rule{Name: "add_key", Action: ActKillProcess})
	prog, err := Compile(p, Target{Arch: runtime.GOARCH, Caps: podmanCaps})
	if err != nil {
		t.Fatal(err)
	}
	_, err = runChild(t, order{Program: prog, Calls: [][7]uint64{{unix.SYS_ADD_KEY}}})
	exit := (*exec.ExitError)(nil)
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGSYS {
		t.Errorf("child ended with %v, want signal SIGSYS", err)
	}
}

func without(names []string, drop ...string) []string {
	var out []string
next:
	for _, n := range names {
		for _, d := range drop {
			if n == d {
				continue next
			}
		}
		out = append(out, n)
	}
	return out
}
