// Package qmp speaks the QEMU Machine Protocol with one QEMU over a socket pair it inherited.
//
// Monitor is an implementation of go-qemu's qmp.Monitor, so go-qemu's generated commands (qmp/raw) work on top of
// it. It exists because go-qemu's own socket monitor dies on replies over 64 KiB, hangs when events are not drained,
// knows no deadlines and drops the class of errors.
//
// The package does not start QEMU, does not build its arguments (package qemu does) and decides nothing: it carries
// commands, replies, events and file descriptors. The monitor process is its only caller, and this package is the
// only one that imports go-qemu.
//
// QEMU is trusted only by half: it is confined, but a guest may have taken it over. Every message is bounded in
// length (MaxMessageBytes), every command has a deadline, and nothing QEMU sends or fails to read blocks the caller
// for longer than that.
package qmp
