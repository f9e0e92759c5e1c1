package monitor

import (
	"bytes"
	"fmt"
	"os"
	"sync"
)

// tailFile is a file of bounded size that holds the end of what is written to
// it. Writes that fail (a full disk) are dropped: nothing may depend on it.
type tailFile struct {
	max  int64 // in bytes; when it is reached the last quarter is kept
	mu   sync.Mutex
	f    *os.File
	size int64
	mark int64 // where tail begins at the earliest
}

// openTailFile opens the file at path, behind what it holds.
func openTailFile(path string, max int64) (*tailFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	return &tailFile{max: max, f: f, size: info.Size()}, nil
}

// Write appends p. It never fails.
func (t *tailFile) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := len(p)
	if int64(len(p)) > t.max/4 {
		p = p[int64(len(p))-t.max/4:]
	}
	if t.size+int64(len(p)) > t.max {
		t.shorten()
	}
	n, _ := t.f.WriteAt(p, t.size)
	t.size += int64(n)
	return all, nil
}

// shorten keeps the last quarter, from a line's beginning on.
func (t *tailFile) shorten() {
	keep := make([]byte, t.max/4)
	n, _ := t.f.ReadAt(keep, max(t.size-int64(len(keep)), 0))
	keep = keep[:n]
	if i := bytes.IndexByte(keep, '\n'); i >= 0 {
		keep = keep[i+1:]
	}
	moved := t.size - int64(len(keep))
	if _, err := t.f.WriteAt(keep, 0); err != nil {
		keep = nil
	}
	t.size = int64(len(keep))
	_ = t.f.Truncate(t.size)
	t.mark = max(t.mark-moved, 0)
}

// setMark makes tail begin here.
func (t *tailFile) setMark() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mark = t.size
}

// tail returns the last n bytes written since the mark.
func (t *tailFile) tail(n int) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := make([]byte, min(int64(n), t.size-min(t.mark, t.size)))
	got, _ := t.f.ReadAt(b, t.size-int64(len(b)))
	return b[:got]
}

func (t *tailFile) Close() error { return t.f.Close() }
