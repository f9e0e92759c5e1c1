// Package seccomp compiles a seccomp profile into the classic BPF program
// that the kernel runs on every system call of a container.
//
// Profiles have the format of containers/common and Docker (what users pass
// to --security-opt seccomp=FILE), of which the OCI runtime-spec's
// linux.seccomp object is a subset. The compiler is written in Go alone: the
// host binary must not link libseccomp, and the guest, often emulated, would
// spend hundreds of milliseconds on parsing and compiling what the host does in
// well under one.
//
// The program is the array of struct sock_filter that seccomp(2) takes with
// SECCOMP_SET_MODE_FILTER, as little-endian bytes. System call numbers are
// found by binary search over ranges that share an action, which also keeps
// small the kernel's own walk at installation (it interprets the filter once
// per system call number to learn which are always allowed).
//
// A profile means here what it means under Podman with crun and libseccomp:
//
//   - rules whose action is the default action are dropped;
//   - the first rule without conditions decides a system call, even when rules
//     with conditions come before it;
//   - otherwise the first rule whose conditions all hold decides (where rules
//     overlap and disagree, libseccomp's order is its own and unspecified);
//   - a rule that names one argument twice is read as one rule per condition;
//   - on 32-bit architectures only the low word of an argument is compared;
//   - names unknown to the table are skipped, and system calls of an
//     architecture not in the profile kill the thread.
//
// One difference is deliberate: a rule with conditions on a socket or System V
// IPC call reaches the multiplexers socketcall and ipc of i386 only if it
// restricts, because its conditions cannot be checked behind a pointer.
//
// The package does not install filters, does not choose the profile, and
// refuses SCMP_ACT_NOTIFY: the listener would be a host process and the
// notification descriptor cannot leave the guest's kernel. The engine calls it
// while it prepares a container; the agent installs the bytes.
package seccomp

//go:generate go run ./internal/gentable -o table.go
