package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// flushAt is how much is encoded before it is written, in bytes.
const flushAt = 128 << 10

// Options say where a log is kept. The zero Driver is k8s-file.
type Options struct {
	Driver       string
	Path         string // absolute; unused by driver none
	MaxSizeBytes int64  // the file is replaced before it grows past this; 0 is no limit

	// Note is told, once each time, that output cannot be kept and that it can
	// again. It may be nil.
	Note func(text string)
}

// Writer is an open log. Its methods may be called from several goroutines.
type Writer struct {
	opts   Options
	format *format // nil: driver none
	now    func() time.Time

	mu      sync.Mutex
	f       *os.File
	regular bool
	size    int64 // of the file, up to the last whole entry
	buf     []byte
	dropped int64 // bytes of output lost since the disk is full
}

// Open opens a log for writing, behind what it holds already. Directories are
// made; a path that is there and is neither a file nor a device is refused: a
// pipe could block the container.
func Open(o Options) (*Writer, error) {
	f, err := formatOf(o.Driver)
	if err != nil {
		return nil, err
	}
	w := &Writer{opts: o, format: f, now: time.Now}
	if f == nil {
		return w, nil
	}
	if err := os.MkdirAll(filepath.Dir(o.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open container log: %w", err)
	}
	w.f, err = os.OpenFile(o.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open container log: %w", err)
	}
	info, err := w.f.Stat()
	switch {
	case err != nil:
	case info.Mode().IsRegular():
		w.regular, w.size = true, info.Size()
		err = w.endLine()
	case info.Mode()&fs.ModeCharDevice == 0:
		err = fmt.Errorf("%s is a %s: give the path of a file", o.Path, info.Mode().Type())
	}
	if err != nil {
		w.f.Close()
		return nil, fmt.Errorf("open container log: %w", err)
	}
	return w, nil
}

// endLine ends a line that a writer was killed in the middle of.
func (w *Writer) endLine() error {
	if w.size == 0 {
		return nil
	}
	var last [1]byte
	if _, err := w.f.ReadAt(last[:], w.size-1); err != nil || last[0] == '\n' {
		return err
	}
	// On a full disk the first entry joins the torn line, and is lost with it.
	if _, err := w.f.WriteString("\n"); err == nil {
		w.size++
	}
	return nil
}

// Write keeps p, output of one stream, at once: what is not a whole line becomes
// a part of one. It never fails: what cannot be written is dropped, Options.Note is told.
func (w *Writer) Write(s Stream, p []byte) {
	if w.format == nil || len(p) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return
	}
	stamp := w.format.stamp(w.now())
	taken := 0 // bytes of p that buf holds
	for len(p) > 0 {
		part, partial, skip := p, true, 0
		if i := bytes.IndexByte(p[:min(len(p), MaxPart+1)], '\n'); i >= 0 {
			part, partial, skip = p[:i], false, 1
		} else if len(p) > MaxPart {
			part = p[:MaxPart]
			part = part[:w.format.split(part)]
		}
		before := len(w.buf)
		w.buf = w.format.encode(w.buf, stamp, s, part, partial)
		if w.tooLarge() && w.size+int64(before) > 0 {
			entry := append([]byte(nil), w.buf[before:]...)
			w.buf = w.buf[:before]
			w.flush(taken)
			taken = 0
			w.replace()
			w.buf = append(w.buf, entry...)
		}
		n := len(part) + skip
		taken += n
		p = p[n:]
		if len(w.buf) >= flushAt {
			w.flush(taken)
			taken = 0
		}
	}
	w.flush(taken)
}

// tooLarge reports whether the file would grow past its limit.
func (w *Writer) tooLarge() bool {
	return w.regular && w.opts.MaxSizeBytes > 0 && w.size+int64(len(w.buf)) > w.opts.MaxSizeBytes
}

// flush writes what is encoded; output is how many bytes of output that is.
func (w *Writer) flush(output int) {
	if len(w.buf) == 0 {
		return
	}
	n, err := w.f.Write(w.buf)
	whole := n == len(w.buf)
	w.buf = w.buf[:0]
	switch {
	case whole:
		w.size += int64(n)
		if w.dropped > 0 {
			w.note(fmt.Sprintf("container log: goes on; %d bytes of output are missing from it", w.dropped))
			w.dropped = 0
		}
	default:
		if w.regular && n > 0 {
			_ = w.f.Truncate(w.size) // half an entry would be worse than none
		}
		if w.dropped == 0 {
			w.note(fmt.Sprintf("container log: %v; output is dropped from it until it can be written again", err))
		}
		w.dropped += int64(output)
	}
}

// replace puts an empty file in the log's place. When that fails the file itself
// is emptied.
func (w *Writer) replace() {
	fresh := w.opts.Path + ".tmp"
	f, err := os.OpenFile(fresh, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if err == nil {
		if err = os.Rename(fresh, w.opts.Path); err == nil {
			w.f.Close()
			w.f, w.size = f, 0
			return
		}
		f.Close()
		_ = os.Remove(fresh)
	}
	if err := w.f.Truncate(0); err == nil {
		w.size = 0
	}
}

func (w *Writer) note(text string) {
	if w.opts.Note != nil {
		w.opts.Note(text)
	}
}

// Close closes the log; later writes are dropped. It reports output that was
// lost since the last note.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	if w.dropped > 0 {
		err = errors.Join(fmt.Errorf("container log: %d bytes of output are missing from it", w.dropped), err)
	}
	return err
}
