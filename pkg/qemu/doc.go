// Package qemu turns a description of a machine into a running QEMU.
//
// The first half is pure: Machine is the description, Validate judges it, Args makes the argument list, and golden
// tests hold each argument. The second half has effects, one file each: find.go looks for QEMU, tsc.go measures the
// host's time stamp counter, accel.go and trialboot.go find out whether KVM works, kernel.go makes any Linux kernel
// bootable. Starting QEMU is the caller's (package sidecar).
//
// The package does not talk to a running QEMU (package qmp does), makes no disks, keeps no caches, and knows nothing
// of containers. The engine fills in a Machine, the monitor adds descriptors and starts it.
package qemu
