package seccomp

import "fmt"

// abi is a set of system call numbers. It indexes the columns of table.
type abi int

const (
	abiX86_64 abi = iota
	abiI386
	abiX32 // shares AUDIT_ARCH_X86_64; its numbers have x32Bit set
	abiAArch64
	abiARM
	abiCount
)

// x32Bit is __X32_SYSCALL_BIT of linux/arch/x86/include/uapi/asm/unistd.h.
const x32Bit = 0x40000000

// AUDIT_ARCH_* of linux/include/uapi/linux/audit.h.
const (
	auditX86_64  = 0xc000003e
	auditI386    = 0x40000003
	auditAArch64 = 0xc00000b7
	auditARM     = 0x40000028
)

// native returns the ABI of a Go architecture name.
func native(goarch string) (abi, error) {
	switch goarch {
	case "amd64":
		return abiX86_64, nil
	case "arm64":
		return abiAArch64, nil
	}
	return 0, fmt.Errorf("seccomp filter for architecture %q: not supported: use amd64 or arm64", goarch)
}

// parseArch returns the ABI of an SCMP_ARCH_* name. Architectures whose calls
// no supported guest can make give abiCount; ok is false for unknown names.
func parseArch(name string, native abi) (a abi, ok bool) {
	switch name {
	case "SCMP_ARCH_NATIVE":
		return native, true
	case "SCMP_ARCH_X86_64":
		return abiX86_64, true
	case "SCMP_ARCH_X86":
		return abiI386, true
	case "SCMP_ARCH_X32":
		return abiX32, true
	case "SCMP_ARCH_AARCH64":
		return abiAArch64, true
	case "SCMP_ARCH_ARM":
		return abiARM, true
	case "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32",
		"SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
		"SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE",
		"SCMP_ARCH_S390", "SCMP_ARCH_S390X",
		"SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",
		"SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64",
		"SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB":
		return abiCount, true
	}
	return 0, false
}

// runsOn reports whether a kernel whose native ABI is n can serve a.
func (a abi) runsOn(n abi) bool {
	switch n {
	case abiX86_64:
		return a == abiX86_64 || a == abiI386 || a == abiX32
	case abiAArch64:
		return a == abiAArch64 || a == abiARM
	}
	return false
}

// is32Bit reports whether arguments are compared by their low word alone.
// x32 is not among them: its arguments arrive in 64-bit registers.
func (a abi) is32Bit() bool { return a == abiI386 || a == abiARM }

func (a abi) audit() uint32 {
	switch a {
	case abiI386:
		return auditI386
	case abiAArch64:
		return auditAArch64
	case abiARM:
		return auditARM
	}
	return auditX86_64
}

// selector is the first argument with which a multiplexing call of i386
// stands for another call.
type selector struct {
	mux   string // "socketcall" or "ipc"
	value uint64
}

// multiplexed returns the i386 multiplexer of a system call.
// Values: linux/include/uapi/linux/net.h SYS_*, linux/include/uapi/linux/ipc.h.
func multiplexed(name string) (selector, bool) {
	const sock, ipc = "socketcall", "ipc"
	switch name {
	case "socket":
		return selector{sock, 1}, true
	case "bind":
		return selector{sock, 2}, true
	case "connect":
		return selector{sock, 3}, true
	case "listen":
		return selector{sock, 4}, true
	case "accept":
		return selector{sock, 5}, true
	case "getsockname":
		return selector{sock, 6}, true
	case "getpeername":
		return selector{sock, 7}, true
	case "socketpair":
		return selector{sock, 8}, true
	case "send":
		return selector{sock, 9}, true
	case "recv":
		return selector{sock, 10}, true
	case "sendto":
		return selector{sock, 11}, true
	case "recvfrom":
		return selector{sock, 12}, true
	case "shutdown":
		return selector{sock, 13}, true
	case "setsockopt":
		return selector{sock, 14}, true
	case "getsockopt":
		return selector{sock, 15}, true
	case "sendmsg":
		return selector{sock, 16}, true
	case "recvmsg":
		return selector{sock, 17}, true
	case "accept4":
		return selector{sock, 18}, true
	case "recvmmsg":
		return selector{sock, 19}, true
	case "sendmmsg":
		return selector{sock, 20}, true
	case "semop":
		return selector{ipc, 1}, true
	case "semget":
		return selector{ipc, 2}, true
	case "semctl":
		return selector{ipc, 3}, true
	case "semtimedop":
		return selector{ipc, 4}, true
	case "msgsnd":
		return selector{ipc, 11}, true
	case "msgrcv":
		return selector{ipc, 12}, true
	case "msgget":
		return selector{ipc, 13}, true
	case "msgctl":
		return selector{ipc, 14}, true
	case "shmat":
		return selector{ipc, 21}, true
	case "shmdt":
		return selector{ipc, 22}, true
	case "shmget":
		return selector{ipc, 23}, true
	case "shmctl":
		return selector{ipc, 24}, true
	}
	return selector{}, false
}
