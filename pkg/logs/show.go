package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Show prints logs: what went to standard output to stdout, the rest to stderr.
//
// One log is printed byte by byte as it was written. Several are printed in
// whole lines, in the order of their times; when following, those of what is
// there already in the order of the sources, then as they come. Errors:
// ErrNoLog, one of reading or writing, or ctx's.
func Show(ctx context.Context, stdout, stderr io.Writer, sources []Source, o ReadOptions) error {
	readers := make([]*reader, len(sources))
	for i, src := range sources {
		r, err := newReader(src, o)
		if err != nil {
			return err
		}
		readers[i] = r
	}
	p := &printer{out: bufio.NewWriter(stdout), err: bufio.NewWriter(stderr), timestamps: o.Timestamps}
	var err error
	if o.Follow {
		err = followAll(ctx, p, readers)
	} else {
		err = showAll(ctx, p, readers)
	}
	return errors.Join(err, p.flush())
}

// showAll prints what is there, merged by time.
func showAll(ctx context.Context, p *printer, readers []*reader) error {
	type head struct {
		r    *reader
		next entry
		to   *linePrinter
	}
	var heads []*head
	for _, r := range readers {
		if err := r.open(true); err != nil {
			return err
		}
		defer r.close()
		h := &head{r: r, to: p.source(r.src.Prefix, len(readers) > 1)}
		e, err := r.next()
		if errors.Is(err, io.EOF) {
			continue
		}
		if err != nil {
			return err
		}
		h.next = e
		heads = append(heads, h)
	}
	for len(heads) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		first := 0
		for i, h := range heads {
			if h.next.Time.Before(heads[first].next.Time) {
				first = i
			}
		}
		h := heads[first]
		if err := h.to.print(h.next); err != nil {
			return err
		}
		e, err := h.r.next()
		switch {
		case errors.Is(err, io.EOF):
			if err := h.to.end(); err != nil {
				return err
			}
			heads = append(heads[:first], heads[first+1:]...)
		case err != nil:
			return err
		default:
			h.next = e
		}
	}
	return nil
}

// followAll follows each log in a goroutine of its own.
func followAll(ctx context.Context, p *printer, readers []*reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	errs := make([]error, len(readers))
	for i, r := range readers {
		wg.Go(func() {
			to := p.source(r.src.Prefix, len(readers) > 1)
			errs[i] = r.follow(ctx, to.print, p.flush)
			if err := to.end(); errs[i] == nil {
				errs[i] = err
			}
			if errs[i] != nil {
				cancel(errs[i]) // the output is gone, or a log is unreadable: end all
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// printer writes the entries of all sources.
type printer struct {
	mu         sync.Mutex
	out, err   *bufio.Writer
	last       Stream // written to last; the other one is flushed
	timestamps bool
}

// to returns the writer for s. Going from one to the other flushes, so that they
// come in order where both lead to the same place. p.mu is held.
func (p *printer) to(s Stream) (*bufio.Writer, error) {
	if s == Stderr {
		if p.last != Stderr {
			p.last = Stderr
			return p.err, p.out.Flush()
		}
		return p.err, nil
	}
	if p.last == Stderr {
		p.last = Stdout
		return p.out, p.err.Flush()
	}
	return p.out, nil
}

func (p *printer) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := errors.Join(p.out.Flush(), p.err.Flush()); err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}

// source returns what prints the entries of one log. With whole, lines are
// collected before they are printed.
func (p *printer) source(prefix string, whole bool) *linePrinter {
	return &linePrinter{printer: p, prefix: prefix, whole: whole}
}

// linePrinter prints the entries of one log.
type linePrinter struct {
	*printer
	prefix string
	whole  bool
	parts  [3][]byte // by stream: with whole, a line that is not complete
	inLine [3]bool   // by stream: the beginning of a line is printed
	starts [3]string // by stream: what goes before the line in parts
}

// print prints one entry.
func (l *linePrinter) print(e entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.inLine[e.Stream] {
		l.starts[e.Stream] = l.start(e)
	}
	if l.whole && e.Partial && len(l.parts[e.Stream]) < maxEntry {
		l.parts[e.Stream] = append(l.parts[e.Stream], e.Text...)
		l.inLine[e.Stream] = true
		return nil
	}
	w, err := l.to(e.Stream)
	if err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	if !l.inLine[e.Stream] || l.whole {
		w.WriteString(l.starts[e.Stream]) // bufio keeps the error for the last one
	}
	w.Write(l.parts[e.Stream])
	_, err = w.Write(e.Text)
	if !e.Partial || l.whole {
		err = w.WriteByte('\n')
	}
	l.parts[e.Stream] = l.parts[e.Stream][:0]
	l.inLine[e.Stream] = e.Partial && !l.whole
	if err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}

// start is what is printed before a line.
func (l *linePrinter) start(e entry) string {
	s := l.prefix
	if s != "" {
		s += " "
	}
	if l.timestamps {
		s += e.Time.Format(TimeFormat) + " "
	}
	return s
}

// end prints lines that were never completed.
func (l *linePrinter) end() error {
	for _, s := range []Stream{Stdout, Stderr} {
		if len(l.parts[s]) > 0 {
			if err := l.print(entry{Stream: s}); err != nil {
				return err
			}
		}
	}
	return nil
}
