package cli

import (
	"os"
	"runtime"
	"runtime/debug"
)

// firstCollection is how much the heap may grow before it is first collected, in
// percent of the runtime's smallest, 4 MiB. Most commands have ended by then; a start
// would spend 5 to 15 ms of processor time on it, at the worst moment.
const firstCollection = 400

// collectLate puts off the first garbage collection. Afterwards all is as ever.
func collectLate() {
	if os.Getenv("GOGC") != "" {
		return // somebody knows better
	}
	usual := debug.SetGCPercent(firstCollection)
	canary := &struct{ self *int }{new(int)} // collected, and noticed, by the first one
	runtime.AddCleanup(canary, func(percent int) {
		if now := debug.SetGCPercent(percent); now != firstCollection {
			debug.SetGCPercent(now) // somebody, as a monitor, has chosen another since
		}
	}, usual)
}
