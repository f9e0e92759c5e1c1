package runner

import (
	"fmt"
	"runtime"
)

// onThread runs f on an operating system thread of its own, which ends with f.
// What f does to the thread (namespaces, root, umask) touches nothing else and is
// what the processes it starts inherit. Go starts no threads from a locked one
// (it keeps a clean one for that), and main holds on to the first thread, so f
// never gets that one, whose /proc entries stand for the whole process.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is not to be used again
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("internal error: %v", p)
			}
		}()
		done <- f()
	}()
	return <-done
}
