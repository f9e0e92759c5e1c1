package engine

import (
	"context"
	"fmt"
	"io"

	"vpod/pkg/container"
	"vpod/pkg/logs"
	"vpod/pkg/monitor"
)

// logColours tell containers apart in `logs --color`, one after the other
// (ANSI, as podman-logs(1) does).
var logColours = [...]string{"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[34m", "\x1b[35m", "\x1b[36m"}

// Logs prints what containers have printed: their standard output to stdout,
// their standard error to stderr. Following ends when none of them runs any more.
func (e *Engine) Logs(ctx context.Context, names []string, opts LogOptions, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sources []logs.Source
	for i, name := range names {
		c, live, err := e.find(ctx, name)
		if err != nil {
			return err
		}
		src, err := e.logSource(ctx, c, live, opts)
		if err != nil {
			return err
		}
		if len(names) > 1 || opts.Names {
			src.Prefix = c.Spec.ID[:12]
			if opts.Names {
				src.Prefix = c.Spec.Name
			}
		}
		if opts.Color && src.Prefix != "" {
			src.Prefix = logColours[i%len(logColours)] + src.Prefix + "\x1b[0m"
		}
		sources = append(sources, src)
	}
	return logs.Show(ctx, stdout, stderr, sources, logs.ReadOptions{
		Since: opts.Since, Until: opts.Until, Tail: opts.Tail, Follow: opts.Follow, Timestamps: opts.Timestamps,
	})
}

// logSource names a container's log, and how to see that no more comes.
func (e *Engine) logSource(ctx context.Context, c container.Container, live *monitor.Status, opts LogOptions) (logs.Source, error) {
	if c.Spec.Log.Driver == "none" {
		return logs.Source{}, fmt.Errorf("this container is using the 'none' log driver, cannot read logs: %w", logs.ErrNoLog)
	}
	src := logs.Source{Driver: c.Spec.Log.Driver, Path: c.Spec.Log.Path}
	if !opts.Follow {
		return src, nil
	}
	gone := make(chan struct{})
	src.Gone = gone
	go func() {
		defer close(gone)
		// An error ends the following like the container's end does: there is
		// nobody left to say when that is.
		_, _ = e.waitEnd(ctx, chosen{Container: c, live: live})
	}()
	return src, nil
}
