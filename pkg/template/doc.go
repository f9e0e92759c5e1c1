// Package template keeps machines that were booted once, saved on disk, and are
// started from there again and again: which machines can be, what they are
// called, where they lie, and whether what lies there is whole.
//
// A template is a directory with the guest's memory (a sparse file that every
// start maps privately, so that its unchanged pages are shared), the state of
// processors and devices (QEMU's migration stream), and a description. It belongs
// to one combination of QEMU, kernel, agent, board, memory, processors, devices
// and command line; see Key. It carries nothing of any container.
//
// The package starts no machine: the engine asks it for the template of a start
// and has package monitor make a missing one; the monitor restores it.
package template
