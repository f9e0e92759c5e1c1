package sidecar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// auditArch is the kernel's name for a system call interface
// (include/uapi/linux/audit.h), by GOARCH; only that one may be used under a guard.
var auditArch = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64,
	"arm64": unix.AUDIT_ARCH_AARCH64,
}

// x32Bit marks the system calls of x86-64's third interface, which has the arch
// of the native one (__X32_SYSCALL_BIT in asm/unistd.h).
const x32Bit = 0x40000000

// Offsets in struct seccomp_data (include/uapi/linux/seccomp.h).
const (
	dataNr    = 0
	dataArch  = 4
	dataArgs  = 16
	dataBytes = 64
)

// fallocateFilter is a seccomp filter that hands fallocate to a listener and lets
// everything else pass. Another interface's calls fail: their fallocate has
// another number, or halves of its arguments.
func fallocateFilter(arch uint32) []unix.SockFilter {
	const (
		load    = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equals  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		atLeast = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		end     = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		{Code: load, K: dataArch},
		{Code: equals, K: arch, Jf: 5},
		{Code: load, K: dataNr},
		{Code: atLeast, K: x32Bit, Jt: 3},
		{Code: equals, K: unix.SYS_FALLOCATE, Jt: 1},
		{Code: end, K: unix.SECCOMP_RET_ALLOW},
		{Code: end, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: end, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
	}
}

// listenFallocate installs the filter on the calling thread and returns its
// listener. Programs that are executed later do not inherit the listener.
func listenFallocate() (*os.File, error) {
	arch, ok := auditArch[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("guard fallocate: %w on %s", errors.ErrUnsupported, runtime.GOARCH)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("guard fallocate: give up gaining privileges: %w", err)
	}
	filter := fallocateFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return nil, fmt.Errorf("guard fallocate: install the filter: %w", errno)
	}
	// Who asks waits for us at once: wake us on the same processor (Linux 6.6; earlier ones do without).
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, fd, unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	if err := unix.SetNonblock(int(fd), true); err != nil { // for Go's poller
		unix.Close(int(fd))
		return nil, fmt.Errorf("guard fallocate: poll the listener: %w", err)
	}
	return os.NewFile(fd, "seccomp listener"), nil
}

// notification is struct seccomp_notif's head; a later kernel's may be longer.
type notification struct {
	id    uint64
	pid   uint32 // of the thread, as seen from here; 0 when it cannot be seen
	flags uint32
	data  [dataBytes]byte
}

// response is struct seccomp_notif_resp's head.
type response struct {
	id    uint64
	val   int64
	errno int32 // negative
	flags uint32
}

// notificationSizes returns how long the kernel's notifications and responses are.
func notificationSizes() (request, answer int, err error) {
	var sizes struct{ notif, resp, data uint16 } // struct seccomp_notif_sizes
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	if errno != 0 {
		return 0, 0, fmt.Errorf("guard fallocate: ask for the size of notifications: %w", errno)
	}
	return max(int(sizes.notif), int(unsafe.Sizeof(notification{}))), max(int(sizes.resp), int(unsafe.Sizeof(response{}))), nil
}

// verdict is the answer to a call: the kernel goes on with it, or it returns with
// errno, 0 for success.
type verdict struct {
	proceed bool
	errno   unix.Errno
}

// answer waits for a call and answers it. An error is the end of the listener.
func (g *holeGuard) answer(conn syscall.RawConn) error {
	var errno unix.Errno
	err := conn.Read(func(fd uintptr) bool {
		// Without a call the ioctl would wait itself, and hold up the runtime and close.
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		if err != nil || n == 0 {
			return false
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			errno = unix.EPIPE // nobody is left who could call
			return true
		}
		errno = g.answerNow(fd)
		return true
	})
	if err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}

// answerNow answers the call that waits, if it still does.
func (g *holeGuard) answerNow(listener uintptr) unix.Errno {
	clear(g.request) // as the kernel demands
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, listener, unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&g.request[0])))
	if errno == unix.ENOENT || errno == unix.EINTR {
		return 0 // the caller was killed, or interrupted and calls again
	}
	if errno != 0 {
		return errno
	}
	call := (*notification)(unsafe.Pointer(&g.request[0]))
	v := verdict{errno: unix.EPERM}
	if call.pid != 0 {
		v = g.judge(call.pid, int32(binary.NativeEndian.Uint32(call.data[dataArgs:])))
	}
	errno = g.respond(listener, call.id, v)
	if errno == unix.EINVAL && v.proceed { // Linux before 5.5 cannot go on with a call
		errno = g.respond(listener, call.id, verdict{errno: unix.ENOSYS})
	}
	if errno == unix.ENOENT {
		// No longer valid: the caller has gone. That also covers the case that the
		// thread we have looked at had only got its number.
		return 0
	}
	return errno
}

func (g *holeGuard) respond(listener uintptr, id uint64, v verdict) unix.Errno {
	clear(g.response)
	r := (*response)(unsafe.Pointer(&g.response[0]))
	r.id, r.errno = id, -int32(v.errno)
	if v.proceed {
		r.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, listener, unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&g.response[0])))
	return errno
}
