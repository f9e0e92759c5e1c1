package logs

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// watch says when a file may have changed, been replaced or appeared.
type watch struct {
	inotify *os.File
	fd      int
	path    string
	file    int           // watch descriptor of the file, or -1
	changed chan struct{} // holds one when something happened
	done    chan struct{}
}

// newWatch watches path, which need not exist; its directory must.
func newWatch(path string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watch log: %w", err)
	}
	w := &watch{
		inotify: os.NewFile(uintptr(fd), "inotify"),
		fd:      fd,
		path:    path,
		file:    -1,
		changed: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
	// The directory tells of replacement, the file of growth.
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE_SELF|unix.IN_ONLYDIR); err != nil {
		w.inotify.Close()
		return nil, fmt.Errorf("watch log %s: %w", path, err)
	}
	w.rewatch()
	go w.read()
	return w, nil
}

// rewatch looks at the file now at path.
func (w *watch) rewatch() {
	if w.file >= 0 {
		_, _ = unix.InotifyRmWatch(w.fd, uint32(w.file)) // gone already when the file is
	}
	w.file = -1
	if wd, err := unix.InotifyAddWatch(w.fd, w.path, unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_MOVE_SELF); err == nil {
		w.file = wd
	}
}

func (w *watch) read() {
	defer close(w.done)
	buf := make([]byte, 4<<10)
	for {
		// What happened to whom does not matter: the reader looks at the file.
		if _, err := w.inotify.Read(buf); err != nil {
			return
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

func (w *watch) close() {
	w.inotify.Close()
	<-w.done
}
