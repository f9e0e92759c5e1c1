package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// punchEnv makes the test binary a process that calls fallocate as told by
// descriptor 3, in lines "call FD MODE", and answers each
// with the error's text on descriptor 4.
const punchEnv = "VPOD_SIDECAR_TEST_PUNCH"

// punchMain is the process started by startPuncher. Descriptors 5 and 6 are files;
// 105 and 106 are duplicates, 205 and 206 are the files opened once more.
func punchMain() {
	orders, answers := os.NewFile(3, "orders"), os.NewFile(4, "answers")
	say := func(err error) {
		text := "done"
		if err != nil {
			text = err.Error()
		}
		fmt.Fprintln(answers, text)
	}
	for _, fd := range []int{5, 6} {
		if err := unix.Dup2(fd, fd+100); err != nil {
			panic(err)
		}
		opened, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDWR, 0)
		if err != nil {
			panic(err)
		}
		if err := unix.Dup2(opened, fd+200); err != nil {
			panic(err)
		}
	}
	var line string
	for {
		var first, second int
		if _, err := fmt.Fscan(orders, &line, &first, &second); err != nil {
			os.Exit(0)
		}
		switch line {
		case "call":
			say(unix.Fallocate(first, uint32(second), 0, 4096))
		case "many":
			var err error
			for range second {
				if err = unix.Fallocate(first, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); err != nil {
					break
				}
			}
			say(err)
		case "x32":
			_, _, errno := unix.Syscall6(x32Bit|unix.SYS_FALLOCATE, uintptr(first), uintptr(second), 0, 4096, 0, 0)
			say(errno)
		}
	}
}

// puncher is a process that calls fallocate, and its two files.
type puncher struct {
	process           *Process
	orders, answers   *os.File
	protected, others *os.File
}

// punch is what makes a hole.
const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE

// startPuncher starts a puncher under s, with its first file protected or not.
func startPuncher(t testing.TB, s *Spawner, protect bool) *puncher {
	t.Helper()
	p := &puncher{protected: contentFile(t, "protected"), others: contentFile(t, "other")}
	ordersOut, orders, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, answersIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.orders, p.answers = orders, answers
	t.Cleanup(func() { orders.Close(); answers.Close() })
	c := Command{
		Name: "puncher", Path: "/proc/self/exe", Env: []string{punchEnv + "=yes", "GORACE=atexit_sleep_ms=0"},
		Files: []*os.File{ordersOut, answersIn, p.protected, p.others},
	}
	if protect {
		c.Protect = []*os.File{p.protected}
	}
	p.process, err = s.Start(t.Context(), c)
	ordersOut.Close()
	answersIn.Close()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// contentFile is a file of 8 KiB without a zero.
func contentFile(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(bytes.Repeat([]byte{1}, 8192)); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask has the puncher make a call and returns what came of it.
func (p *puncher) ask(t testing.TB, what string, fd, n int) string {
	t.Helper()
	if _, err := fmt.Fprintln(p.orders, what, fd, n); err != nil {
		t.Fatal(err)
	}
	if err := p.answers.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(p.answers, b); err != nil {
			t.Fatalf("the puncher said %q, then %v; its end: %s", line, err, p.process.Stderr())
		}
		if b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

// untouched fails the test when f has changed.
func untouched(t *testing.T, f *os.File) {
	t.Helper()
	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{1}, 8192)) {
		t.Errorf("%s has changed: %d bytes, first %v, %v", filepath.Base(f.Name()), len(got), got[:min(len(got), 1)], err)
	}
}

// punched fails the test when f has no hole of 4 KiB at its beginning.
func punched(t *testing.T, f *os.File) {
	t.Helper()
	got, err := os.ReadFile(f.Name())
	if err != nil || !bytes.Equal(got, append(make([]byte, 4096), bytes.Repeat([]byte{1}, 4096)...)) {
		t.Errorf("%s is not punched: %d bytes, first %v, %v", filepath.Base(f.Name()), len(got), got[:min(len(got), 1)], err)
	}
}

// needProtection skips the test where nothing can be protected.
func needProtection(t testing.TB) {
	t.Helper()
	if err := CanProtect(); err != nil {
		if !errors.Is(err, ErrCannotProtect) {
			t.Fatalf("CanProtect = %v, not ErrCannotProtect", err)
		}
		t.Skip(err)
	}
}

func TestProtect(t *testing.T) {
	needProtection(t)
	s := newSpawner(t)
	tests := []struct {
		name    string
		call    string
		fd, arg int
		want    string
		punched bool // the other file
	}{
		{name: "hole", call: "call", fd: 5, arg: punch, want: "done"},
		{name: "hole by a duplicate", call: "call", fd: 105, arg: punch, want: "done"},
		{name: "hole by another opening", call: "call", fd: 205, arg: punch, want: "done"},
		{name: "zeros", call: "call", fd: 5, arg: unix.FALLOC_FL_ZERO_RANGE, want: "done"},
		{name: "a piece taken out", call: "call", fd: 5, arg: unix.FALLOC_FL_COLLAPSE_RANGE, want: "done"},
		{name: "space", call: "call", fd: 5, arg: 0, want: "done"},
		{name: "no such mode", call: "call", fd: 5, arg: 1 << 30, want: "done"},
		{name: "many", call: "many", fd: 5, arg: 2000, want: "done"},
		{name: "the other interface", call: "x32", fd: 5, arg: punch, want: "function not implemented"},
		{name: "other, the other interface", call: "x32", fd: 6, arg: punch, want: "function not implemented"},
		{name: "no file", call: "call", fd: 999, arg: punch, want: "bad file descriptor"},
		{name: "negative", call: "call", fd: -1, arg: punch, want: "bad file descriptor"},
		{name: "a pipe", call: "call", fd: 4, arg: punch, want: "illegal seek"},
		{name: "other, no such mode", call: "call", fd: 6, arg: 1 << 30, want: "operation not supported"},
		{name: "other, hole", call: "call", fd: 6, arg: punch, want: "done", punched: true},
		{name: "other, hole by a duplicate", call: "call", fd: 106, arg: punch, want: "done", punched: true},
		{name: "other, many", call: "many", fd: 206, arg: 500, want: "done", punched: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.call == "x32" && runtime.GOARCH != "amd64" {
				t.Skip("only x86-64 has x32")
			}
			p := startPuncher(t, s, true)
			if got := p.ask(t, tt.call, tt.fd, tt.arg); got != tt.want {
				t.Errorf("%s(%d, %#x) = %s, want %s", tt.call, tt.fd, tt.arg, got, tt.want)
			}
			untouched(t, p.protected)
			if tt.punched {
				punched(t, p.others)
			} else {
				untouched(t, p.others)
			}
			p.orders.Close()
			if err := p.process.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestProtectIsForOne starts two protected processes and one that is not: each is
// kept from its own file alone.
func TestProtectIsForOne(t *testing.T) {
	needProtection(t)
	s := newSpawner(t)
	a, free, b := startPuncher(t, s, true), startPuncher(t, s, false), startPuncher(t, s, true)
	for _, p := range []*puncher{b, a, free} {
		if got := p.ask(t, "call", 5, punch); got != "done" {
			t.Errorf("punch = %s", got)
		}
	}
	untouched(t, a.protected)
	untouched(t, b.protected)
	punched(t, free.protected)
	for _, tt := range []struct {
		p    *puncher
		want string
	}{{a, "1 2"}, {free, "0 0"}} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tt.p.process.PID()))
		if err != nil {
			t.Fatal(err)
		}
		var privs, mode string
		for line := range strings.Lines(string(status)) {
			if v, ok := strings.CutPrefix(line, "NoNewPrivs:\t"); ok {
				privs = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "Seccomp:\t"); ok {
				mode = strings.TrimSpace(v)
			}
		}
		if got := privs + " " + mode; got != tt.want {
			t.Errorf("NoNewPrivs and Seccomp = %q, want %q", got, tt.want)
		}
	}
}

// TestProtectKeepsNumbers removes the protected file while nobody else has it
// open: its inode's number must not become another file's.
func TestProtectKeepsNumbers(t *testing.T) {
	needProtection(t)
	f := contentFile(t, "protected")
	s := newSpawner(t)
	var g *holeGuard
	var err error
	if !s.do(func() { g, err = newHoleGuard([]*os.File{f}) }) || err != nil {
		t.Fatal(err)
	}
	defer g.close()
	f.Close()
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		next := contentFile(t, fmt.Sprint("next", i))
		if v := g.judge(uint32(os.Getpid()), int32(next.Fd())); !v.proceed {
			t.Fatalf("file %d is taken for the removed one", i)
		}
	}
}

// TestProtectFailsClosed ends the guard before the process.
func TestProtectFailsClosed(t *testing.T) {
	needProtection(t)
	s := newSpawner(t)
	var g *holeGuard
	var err error
	f := contentFile(t, "any")
	if !s.do(func() { g, err = newHoleGuard([]*os.File{f}) }) || err != nil {
		t.Fatal(err)
	}
	p := startPuncher(t, s, false) // by the guarded thread
	if got := p.ask(t, "call", 6, punch); got != "done" {
		t.Errorf("with the guard: %s", got)
	}
	punched(t, p.others)
	g.close()
	for _, fd := range []int{5, 105} {
		if got := p.ask(t, "call", fd, punch); got != "function not implemented" {
			t.Errorf("fallocate(%d) without the guard = %s", fd, got)
		}
	}
	untouched(t, p.protected)
}

// TestProtectFailsClosedUnderWay ends the guard while calls come.
func TestProtectFailsClosedUnderWay(t *testing.T) {
	needProtection(t)
	s := newSpawner(t)
	var g *holeGuard
	var err error
	f := contentFile(t, "any")
	if !s.do(func() { g, err = newHoleGuard([]*os.File{f}) }) || err != nil {
		t.Fatal(err)
	}
	p := startPuncher(t, s, false)
	time.AfterFunc(50*time.Millisecond, g.close)
	if got := p.ask(t, "many", 6, 100_000_000); got != "function not implemented" {
		t.Errorf("many calls = %s", got)
	}
}

func TestProtectErrors(t *testing.T) {
	needProtection(t)
	closed := contentFile(t, "closed")
	closed.Close()
	s := newSpawner(t)
	c := script("exit 0")
	c.Protect = []*os.File{closed}
	if _, err := s.Start(t.Context(), c); err == nil || errors.Is(err, ErrCannotProtect) || !strings.HasPrefix(err.Error(), "start script: protect ") {
		t.Errorf("Start with a closed file = %v", err)
	}
	c.Protect = []*os.File{contentFile(t, "protected")}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Start(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("Start called off = %v", err)
	}
	nothing := c
	nothing.Path = filepath.Join(t.TempDir(), "none")
	if _, err := s.Start(t.Context(), nothing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start of nothing = %v", err)
	}
	if n := len(s.guarded.all); n != 0 {
		t.Errorf("%d threads are left", n)
	}
	s.Close()
	if _, err := s.Start(t.Context(), c); !errors.Is(err, ErrSpawnerClosed) {
		t.Errorf("Start after Close = %v", err)
	}
}

// TestProtectLeavesNothing compares descriptors and threads before and after.
func TestProtectLeavesNothing(t *testing.T) {
	needProtection(t)
	s := newSpawner(t)
	f := contentFile(t, "protected")
	run := func() {
		c := script("exit 0")
		c.Protect = []*os.File{f}
		p, err := s.Start(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	count := func(dir string) int {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	run()
	fds, threads := count("/proc/self/fd"), count("/proc/self/task")
	for range 20 {
		run()
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		moreFDs, moreThreads := count("/proc/self/fd")-fds, count("/proc/self/task")-threads
		if moreFDs <= 0 && moreThreads <= 8 { // the runtime keeps some
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors and %d threads are left after 20 processes", moreFDs, moreThreads)
		}
	}
}

// TestCloseKillsProtected shows that the parent-death signal is in force.
func TestCloseKillsProtected(t *testing.T) {
	needProtection(t)
	s := NewSpawner()
	p := startPuncher(t, s, true)
	s.Close()
	within(t, p.process.Done(), "death of the process after its Spawner's")
	untouched(t, p.protected)
}

func TestProtectedDiesWithMonitor(t *testing.T) {
	needProtection(t)
	killMonitorAndWait(t, startMonitor(t, "protected /bin/sleep 1000"), 10*time.Second)
}

// TestSpawnerAvoidsFirstThread makes Spawners while the process's first thread has
// nothing to do: it never ends, and what it has started would not be killed.
func TestSpawnerAvoidsFirstThread(t *testing.T) {
	for range 200 {
		s := NewSpawner()
		var tid int
		if !s.do(func() { tid = unix.Gettid() }) || tid == os.Getpid() {
			t.Errorf("a Spawner has thread %d", tid)
		}
		s.Close()
	}
}

// evaluate runs a filter over a system call.
func evaluate(t *testing.T, filter []unix.SockFilter, nr, arch uint32) uint32 {
	t.Helper()
	var a uint32
	for pc := 0; pc < len(filter); pc++ {
		in := filter[pc]
		jump := func(yes bool) {
			if yes {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = map[uint32]uint32{dataNr: nr, dataArch: arch}[in.K]
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			jump(a == in.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			jump(a >= in.K)
		case unix.BPF_RET | unix.BPF_K:
			return in.K
		default:
			t.Fatalf("instruction %d: %#x", pc, in.Code)
		}
	}
	t.Fatal("the filter has no end")
	return 0
}

func TestFallocateFilter(t *testing.T) {
	const native = unix.AUDIT_ARCH_X86_64
	const refused = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	filter := fallocateFilter(native)
	tests := []struct {
		name     string
		nr, arch uint32
		want     uint32
	}{
		{name: "fallocate", nr: unix.SYS_FALLOCATE, arch: native, want: unix.SECCOMP_RET_USER_NOTIF},
		{name: "first", nr: 0, arch: native, want: unix.SECCOMP_RET_ALLOW},
		{name: "before", nr: unix.SYS_FALLOCATE - 1, arch: native, want: unix.SECCOMP_RET_ALLOW},
		{name: "after", nr: unix.SYS_FALLOCATE + 1, arch: native, want: unix.SECCOMP_RET_ALLOW},
		{name: "last", nr: x32Bit - 1, arch: native, want: unix.SECCOMP_RET_ALLOW},
		{name: "x32", nr: x32Bit | unix.SYS_FALLOCATE, arch: native, want: refused},
		{name: "x32, other", nr: x32Bit, arch: native, want: refused},
		{name: "no call", nr: 1<<32 - 1, arch: native, want: refused},
		{name: "i386 fallocate", nr: 324, arch: unix.AUDIT_ARCH_I386, want: refused},
		{name: "i386", nr: 1, arch: unix.AUDIT_ARCH_I386, want: refused},
		{name: "i386, native number", nr: unix.SYS_FALLOCATE, arch: unix.AUDIT_ARCH_I386, want: refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := evaluate(t, filter, tt.nr, tt.arch); got != tt.want {
				t.Errorf("call %#x of %#x: %#x, want %#x", tt.nr, tt.arch, got, tt.want)
			}
		})
	}
}

// BenchmarkProtect measures a call on a protected file and on another.
func BenchmarkProtect(b *testing.B) {
	needProtection(b)
	for _, tt := range []struct {
		name    string
		protect bool
		fd      int
	}{{"protected", true, 5}, {"other", true, 6}, {"without", false, 6}} {
		b.Run(tt.name, func(b *testing.B) {
			s := NewSpawner()
			defer s.Close()
			p := startPuncher(b, s, tt.protect)
			p.ask(b, "many", tt.fd, 10)
			b.ResetTimer()
			p.ask(b, "many", tt.fd, b.N)
		})
	}
}

func BenchmarkCanProtect(b *testing.B) {
	for range b.N {
		if err := CanProtect(); err != nil {
			b.Skip(err)
		}
	}
}
