//go:build cgo

package main

// vpod needs cgo: entering a user namespace is done by a C constructor, before
// Go's threads run. Built without, an ordinary user's vpod would start itself
// over and over. nocgo.go refuses such a build.
//
// Another constructor, ahead of all others, reads the clocks for run --timing: by
// the time main runs, Go's runtime and all packages are initialised.

// #include <time.h>
//
// static struct timespec began, used;
//
// __attribute__((constructor(101))) static void vpod_note_start(void)
// {
// 	clock_gettime(CLOCK_MONOTONIC, &began);
// 	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
// }
//
// static long long vpod_began(void) { return began.tv_sec * 1000000000LL + began.tv_nsec; }
// static long long vpod_used(void) { return used.tv_sec * 1000000000LL + used.tv_nsec; }
import "C"

import "vpod/pkg/cli"

// began is when this process began to execute this program.
func began() cli.Began {
	return cli.Began{AtNanos: int64(C.vpod_began()), ProcessorNanos: int64(C.vpod_used())}
}
