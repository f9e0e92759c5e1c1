package spawn

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the runtime does around a fork: signals are blocked, the stack may not
// grow, and the child gets default handlers. Package syscall uses the same.
//
//go:linkname runtimeBeforeFork syscall.runtime_BeforeFork
func runtimeBeforeFork()

//go:linkname runtimeAfterFork syscall.runtime_AfterFork
func runtimeAfterFork()

//go:linkname runtimeAfterForkInChild syscall.runtime_AfterForkInChild
func runtimeAfterForkInChild()

//go:noescape
func rawVfork(trap, a1, a2 uintptr) (r1, errno uintptr)

// clone runs the program in a child and returns when the child has executed its
// command or has given up; p.failed tells which. The child shares the agent's
// memory until then, so nothing is copied and no pipe is needed for the error.
func (p *program) clone() (pid int, errno syscall.Errno) {
	upid, errno := p.cloneChild()
	runtimeAfterFork()
	runtime.KeepAlive(p)
	return int(upid), errno
}

// cloneChild never returns in the child, and returns at once in the parent, so
// that the two never use one stack frame. Between runtimeBeforeFork and the end
// there is no allocation, no lock, no pointer store to the heap and no call of
// anything but assembly.
//
//go:noinline
//go:norace
//go:nocheckptr
func (p *program) cloneChild() (pid uintptr, errno syscall.Errno) {
	var (
		i      int
		c      *call
		arg    uintptr
		result uintptr
		err    uintptr
		e      syscall.Errno
	)
	runtimeBeforeFork()
	pid, err = rawVfork(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&p.args)), unsafe.Sizeof(p.args))
	if err != 0 || pid != 0 {
		return pid, syscall.Errno(err)
	}
	runtimeAfterForkInChild()
	for i = 0; i < len(p.calls); i++ {
		c = &p.calls[i]
		arg = c.args[0]
		if c.kind == onResult {
			arg = result
		}
		result, _, e = syscall.RawSyscall6(c.nr, arg, c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		if e == 0 {
			continue
		}
		if c.kind == attempt && p.attempted(i, e) {
			continue
		}
		if c.kind == ifKnown && e == syscall.EINVAL {
			continue
		}
		p.failed, p.errno = i, e
		break
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT, 127, 0, 0)
	}
}

// attempted notes an execve that did not work and reports whether the next
// candidate is to be tried, as execvp(3) does.
//
//go:nosplit
//go:norace
func (p *program) attempted(i int, e syscall.Errno) (next bool) {
	switch e {
	case syscall.EACCES:
		p.denied = i
	case syscall.ENOENT, syscall.ENOTDIR:
	default:
		return false
	}
	return i+1 < len(p.calls)
}
