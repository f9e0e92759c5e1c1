package logs

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxEntry bounds a line of a log file, in bytes: MaxPart with each byte escaped
// and what stands around it fit many times. Longer ones are not ours and skipped.
const maxEntry = 1 << 20

// lineReader reads the lines of a file that may still grow.
type lineReader struct {
	f    *os.File
	off  int64 // of the next byte to read from f
	buf  []byte
	next int  // first byte of buf not returned
	skip bool // the line being read is too long
}

// line returns the next line without its end, valid until the next call; io.EOF
// when there is no whole one (yet).
func (r *lineReader) line() ([]byte, error) {
	scanned := 0
	for {
		pending := r.buf[r.next:]
		if i := bytes.IndexByte(pending[scanned:], '\n'); i >= 0 {
			end := scanned + i
			r.next += end + 1
			if r.skip {
				r.skip, scanned = false, 0
				continue
			}
			return pending[:end], nil
		}
		scanned = len(pending)
		if len(pending) > maxEntry {
			r.skip = true
			r.buf, r.next, scanned = r.buf[:0], 0, 0
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads more into buf.
func (r *lineReader) fill() error {
	if r.next > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.next:])]
		r.next = 0
	}
	if cap(r.buf)-len(r.buf) < 32<<10 {
		r.buf = append(make([]byte, 0, max(64<<10, 2*cap(r.buf))), r.buf...)
	}
	n, err := r.f.ReadAt(r.buf[len(r.buf):cap(r.buf)], r.off)
	r.buf = r.buf[:len(r.buf)+n]
	r.off += int64(n)
	if n > 0 {
		return nil
	}
	return err
}

// restart begins again at the file's start.
func (r *lineReader) restart() {
	r.off, r.buf, r.next, r.skip = 0, r.buf[:0], 0, false
}

// tailOffset returns where the last n lines of the log in f begin. An unfinished
// line at the end counts as one.
func tailOffset(f *os.File, n int, parse func([]byte) (entry, error)) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("find the end of the log: %w", err)
	}
	if n <= 0 {
		return end, nil
	}
	// Backwards, one entry at a time. A line ends at a full entry: the start of
	// the entry after it is where a line begins.
	counted := 0
	start := end // of the entry that comes after the one looked at
	err = eachBackwards(f, end, func(off int64, line []byte) bool {
		if e, err := parse(line); err == nil && !e.Partial || start == end {
			if counted == n {
				return false
			}
			counted++
		}
		start = off
		return true
	})
	return start, err
}

// eachBackwards calls fn for the lines of f that end before end, the last one
// first, until it returns false. What is longer than maxEntry comes without text.
func eachBackwards(f *os.File, end int64, fn func(off int64, line []byte) bool) error {
	const step = 64 << 10
	var tail []byte // from the position reached to the end of the line being collected
	chunk := make([]byte, step)
	lineEnd := end
	first := true
	for pos := end; pos > 0; {
		n := min(int64(step), pos)
		pos -= n
		if _, err := f.ReadAt(chunk[:n], pos); err != nil {
			return fmt.Errorf("read log backwards: %w", err)
		}
		part := chunk[:n]
		if first {
			first = false
			if part[n-1] == '\n' {
				part = part[:n-1]
				lineEnd--
			}
		}
		for {
			i := bytes.LastIndexByte(part, '\n')
			line := part[i+1:]
			if i < 0 {
				if int64(len(tail)+len(line)) <= maxEntry {
					tail = append(append(make([]byte, 0, len(line)+len(tail)), line...), tail...)
				} else {
					tail = tail[:0]
				}
				break
			}
			off := pos + int64(i) + 1
			whole := append(line[:len(line):len(line)], tail...)
			if lineEnd-off > maxEntry {
				whole = nil
			}
			if !fn(off, whole) {
				return nil
			}
			tail = tail[:0]
			lineEnd = pos + int64(i)
			part = part[:i]
		}
	}
	if end > 0 {
		fn(0, tail)
	}
	return nil
}
