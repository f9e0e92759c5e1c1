package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrNoLog reports a container whose driver keeps nothing.
var ErrNoLog = errors.New("this container's output is not kept (log driver none)")

// Source is the log of one container.
type Source struct {
	Driver string
	Path   string
	Prefix string // printed before each line; "" is nothing

	// Gone is closed when nothing more will be written: a follower ends. nil is
	// now, unless following, where it is never.
	Gone <-chan struct{}
}

// ReadOptions choose what is shown. Tail has no useful zero value.
type ReadOptions struct {
	Tail       int       // only the last lines; negative is all
	Since      time.Time // only what was printed at or after; zero is no bound
	Until      time.Time // only what was printed before; zero is no bound
	Follow     bool      // go on as more is printed
	Timestamps bool      // print the time before each line
}

// wants reports whether e is within the bounds of time.
func (o ReadOptions) wants(e entry) bool {
	return (o.Since.IsZero() || !e.Time.Before(o.Since)) && (o.Until.IsZero() || e.Time.Before(o.Until))
}

// reader reads one log.
type reader struct {
	src    Source
	opts   ReadOptions
	format *format
	lines  *lineReader // nil until the file exists
}

func newReader(src Source, o ReadOptions) (*reader, error) {
	f, err := formatOf(src.Driver)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, ErrNoLog
	}
	return &reader{src: src, opts: o, format: f}, nil
}

// open opens the log if it exists; only the first time does Tail apply.
func (r *reader) open(first bool) error {
	f, err := os.OpenFile(r.src.Path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe must not block
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open container log: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory", r.src.Path)
	}
	lines := &lineReader{f: f}
	if err == nil && info.Mode().IsRegular() && first && r.opts.Tail >= 0 {
		lines.off, err = tailOffset(f, r.opts.Tail, r.format.parse)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("open container log: %w", err)
	}
	r.lines = lines
	return nil
}

func (r *reader) close() {
	if r.lines != nil {
		r.lines.f.Close()
		r.lines = nil
	}
}

// next returns the next entry wanted; io.EOF when there is none (yet). Lines
// that are no entries are passed over.
func (r *reader) next() (entry, error) {
	for r.lines != nil {
		line, err := r.lines.line()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				err = fmt.Errorf("read container log: %w", err)
			}
			return entry{}, err
		}
		if e, err := r.format.parse(line); err == nil && r.opts.wants(e) {
			return e, nil
		}
	}
	return entry{}, io.EOF
}

// drain passes all entries there are to emit.
func (r *reader) drain(emit func(entry) error) error {
	for {
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = emit(e)
		}
		if err != nil {
			return err
		}
	}
}

// follow passes entries to emit until the source is gone, Until has come, or ctx
// ends. idle is called each time before it waits.
func (r *reader) follow(ctx context.Context, emit func(entry) error, idle func() error) error {
	w, err := newWatch(r.src.Path)
	if err != nil {
		return err
	}
	defer w.close()
	defer r.close()
	if err := r.open(true); err != nil {
		return err
	}
	var deadline <-chan time.Time
	if !r.opts.Until.IsZero() {
		timer := time.NewTimer(time.Until(r.opts.Until))
		defer timer.Stop()
		deadline = timer.C
	}
	for last := false; ; {
		if err := r.drain(emit); err != nil {
			return err
		}
		switch again, err := r.replaced(w, emit); {
		case err != nil:
			return err
		case again:
			continue
		case last:
			return idle()
		}
		if err := idle(); err != nil {
			return err
		}
		select {
		case <-w.changed:
		case <-r.src.Gone:
			last = true
		case <-deadline:
			last = true
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// replaced looks whether the file has been emptied, or another stands in its
// place, and if so goes on with that one's beginning.
func (r *reader) replaced(w *watch, emit func(entry) error) (bool, error) {
	now, err := os.Stat(r.src.Path)
	if err != nil {
		return false, nil // removed, or not there yet: there may be another one later
	}
	if r.lines == nil {
		w.rewatch()
		return true, r.open(false)
	}
	have, err := r.lines.f.Stat()
	if err != nil {
		return false, fmt.Errorf("follow container log: %w", err)
	}
	if os.SameFile(now, have) {
		if now.Mode().IsRegular() && now.Size() < r.lines.off {
			r.lines.restart()
			return true, nil
		}
		return false, nil
	}
	// The writer is done with the old file by the time it has put a new one in
	// its place: read it to its end.
	if err := r.drain(emit); err != nil {
		return false, err
	}
	r.close()
	w.rewatch()
	return true, r.open(false)
}
