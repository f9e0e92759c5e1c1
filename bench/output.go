package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// measureOutput reads what a container prints, lines of 64 bytes, through a pipe
// from an attached run, and counts from the first byte to the last, without the
// start. Both programs keep a log of it, unless told not to.
func measureOutput(ctx context.Context, w *world) ([]row, error) {
	size := int64(w.rounds(1024, 100)) << 20
	var rows []row
	for _, log := range []struct{ name, title string }{
		{"log", fmt.Sprintf("standard output of `run`, %d MiB", size>>20)},
		{"none", "… with `--log-driver none`"},
	} {
		contestants, err := eachProgram(w, func(p *program) (contestant, error) {
			image, err := w.image(ctx, p, busyboxImage)
			args := []string{"--rm", "--network", "none"}
			if log.name == "none" {
				args = append(args, "--log-driver", "none")
			}
			argv := p.container("run", append(args, image, "probe", "print", strconv.FormatInt(size, 10))...)
			return contestant{name: p.name, one: func(ctx context.Context) (values, error) {
				rate, err := w.drain(ctx, size, argv)
				return values{log.name: rate}, err
			}}, err
		})
		if err != nil {
			return nil, err
		}
		more, err := compare(ctx, w, w.rounds(3, 2), contestants, []row{{Name: "output/" + log.name, Title: log.title, Unit: throughput}})
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// drain runs a command that prints size bytes and returns at how many MiB/s they
// came.
func (w *world) drain(ctx context.Context, size int64, argv []string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	before, err := descendants(os.Getpid())
	if err != nil {
		return 0, err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer out.Close()
	if _, err := unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, 1<<20); err != nil { // so that we are not what is measured
		in.Close()
		return 0, err
	}
	errs, err := scratchFile(w.dir)
	if err != nil {
		in.Close()
		return 0, err
	}
	defer errs.Close()
	p, err := w.reaper.start(append([]string{path}, argv[1:]...), w.env, [3]*os.File{w.null, in, errs})
	in.Close()
	if err != nil {
		return 0, err
	}
	counted := make(chan flow, 1)
	go func() { counted <- count(out, size) }()
	e, err := p.wait(ctx)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", brief(argv), err)
	}
	f := <-counted
	switch {
	case e.status != 0:
		return 0, fmt.Errorf("%s ended with %s: %s", brief(argv), describe(e), lastLine(contents(errs)))
	case f.bytes != size:
		return 0, fmt.Errorf("%s printed %d bytes, not %d", brief(argv), f.bytes, size)
	}
	return f.rate(), settle(ctx, before)
}

// flow is what came through a pipe.
type flow struct {
	bytes, first int64 // all; with the first read
	took         time.Duration
}

// rate in MiB/s, from when the first read came.
func (f flow) rate() float64 {
	return float64(f.bytes-f.first) / (1 << 20) / f.took.Seconds()
}

// count reads until size bytes have come, or the end.
func count(r *os.File, size int64) flow {
	buf := make([]byte, 1<<20)
	var f flow
	var start time.Time
	for f.bytes < size {
		n, err := r.Read(buf)
		if n > 0 && f.bytes == 0 {
			f.first, start = int64(n), time.Now()
		}
		f.bytes += int64(n)
		if err != nil {
			break
		}
	}
	if !start.IsZero() {
		f.took = time.Since(start)
	}
	return f
}
