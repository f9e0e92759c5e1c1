package image

import (
	"io"
	"os"
	"sync"
)

// progressWriter is w as the library may have it: it writes from several
// goroutines, and draws bars only when it sees the terminal itself.
func progressWriter(w io.Writer) io.Writer {
	switch w.(type) {
	case nil, *os.File:
		return w
	}
	return &lockedWriter{w: w}
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
