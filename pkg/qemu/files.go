package qemu

import "os"

// firstFD is the number of the first donated descriptor in the child: 0, 1 and 2 are standard.
const firstFD = 3

// Files are the descriptors a process inherits. Each gets its number when it is donated, so that the number stands
// beside what names it: m.QMPFD = files.Donate(end). The zero value is ready.
type Files struct {
	list []*os.File
}

// Donate adds f and returns its number in the child. Whoever starts the process hands List to it and calls Close
// afterwards, whether the start succeeded or not.
func (fs *Files) Donate(f *os.File) int {
	fs.list = append(fs.list, f)
	return firstFD + len(fs.list) - 1
}

// List is what was donated, in the order of the numbers.
func (fs *Files) List() []*os.File { return fs.list }

// Close closes what was donated, on our side.
func (fs *Files) Close() {
	for _, f := range fs.list {
		_ = f.Close() // passed on or given up: nothing was written through it
	}
	fs.list = nil
}
