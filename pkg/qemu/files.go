package qemu

import "os"

// firstFD is the number of the first donated descriptor in the child: 0, 1 and 2 are standard.
const firstFD = 3

// Files are the descriptors a process inherits. Each gets its number when it is donated, so that the number stands
// beside what names it: m.QMPFD = files.Donate(end). The zero value is ready.
type Files struct {
	list []*os.File
}

// Donate adds f and returns its number in the child. Start passes f on and closes it on our side, whether it succeeds
// or not; until then Close does.
func (fs *Files) Donate(f *os.File) int {
	fs.list = append(fs.list, f)
	return firstFD + len(fs.list) - 1
}

// Close closes what was donated and not started with.
func (fs *Files) Close() {
	for _, f := range fs.list {
		_ = f.Close() // passed on or given up: nothing was written through it
	}
	fs.list = nil
}
