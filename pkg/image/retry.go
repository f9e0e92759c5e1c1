package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containers/common/pkg/config"
	"github.com/containers/common/pkg/retry"
	"github.com/containers/image/v5/docker"
	imgtypes "github.com/containers/image/v5/types"
)

// stallTimeout is how long a registry may send, or take, nothing of what it is
// asked for before the attempt is given up. The libraries would wait for ever.
const stallTimeout = 2 * time.Minute

// progressInterval is how often a copy tells that it goes on.
const progressInterval = time.Second

// errStalled ends an attempt whose registry fell silent.
var errStalled = errors.New("the registry sends nothing more")

// Retry says how often what may pass is tried again, and how long to wait in
// between. The zero value is containers.conf's: three times, after 1, 2, 4 s.
type Retry struct {
	Count *uint
	Delay time.Duration // 0 is exponential
}

// options are what it means to the library.
func (r Retry) options() (*retry.Options, error) {
	o := &retry.Options{Delay: r.Delay, IsErrorRetryable: mayPass}
	conf, err := config.Default()
	if err != nil {
		return nil, fmt.Errorf("read containers.conf: %w", err)
	}
	o.MaxRetry = int(conf.Engine.Retry)
	if r.Count != nil {
		o.MaxRetry = int(*r.Count)
	}
	if o.Delay == 0 && conf.Engine.RetryDelay != "" {
		if o.Delay, err = time.ParseDuration(conf.Engine.RetryDelay); err != nil {
			return nil, fmt.Errorf("containers.conf: retry_delay: %w", err)
		}
	}
	return o, nil
}

// attempts does a copy, and again while it fails in ways that may pass. Each
// attempt has a context of its own, and a channel that wants to be told how the
// copy goes on: one that stands still is given up.
func (s *Store) attempts(ctx context.Context, r Retry, copy func(ctx context.Context, progress chan imgtypes.ProgressProperties) error) error {
	opts, err := r.options()
	if err != nil {
		return err
	}
	limit := s.opts.StallTimeout
	if limit == 0 {
		limit = stallTimeout
	}
	return retry.IfNecessary(ctx, func() error {
		attempt, giveUp := context.WithCancelCause(ctx)
		defer giveUp(nil)
		progress := make(chan imgtypes.ProgressProperties, 64)
		var watcher sync.WaitGroup
		over := make(chan struct{})
		watcher.Go(func() { watchStall(progress, over, limit, giveUp) })
		err := copy(attempt, progress)
		close(over)
		watcher.Wait()
		if err != nil && errors.Is(context.Cause(attempt), errStalled) {
			return context.Cause(attempt)
		}
		return err
	}, opts)
}

// watchStall calls giveUp when blobs are on their way and none of them has moved
// for limit. Between blobs, and while layers are unpacked, there is nothing to see.
func watchStall(progress <-chan imgtypes.ProgressProperties, over <-chan struct{}, limit time.Duration, giveUp context.CancelCauseFunc) {
	moving := 1 // the manifest, until the first blob
	begun := false
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-over:
			return
		case <-timer.C:
			if moving > 0 {
				giveUp(fmt.Errorf("%w: nothing came for %v", errStalled, limit))
			}
		case p := <-progress:
			if !begun {
				begun, moving = true, 0
			}
			switch p.Event {
			case imgtypes.ProgressEventNewArtifact:
				moving++
			case imgtypes.ProgressEventDone:
				moving--
			}
			timer.Reset(limit)
		}
	}
}

// mayPass reports whether it is worth trying again after err: the network's and
// the registry's own trouble, not what it says no to.
func mayPass(err error) bool {
	var status docker.UnexpectedHTTPStatusError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return false
	case errors.Is(err, errStalled), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, docker.ErrTooManyRequests):
		return true
	case errors.As(err, &status):
		return status.StatusCode >= http.StatusInternalServerError || status.StatusCode == http.StatusTooManyRequests
	}
	// What a child process met while it unpacked a layer is only text.
	return retry.IsErrorRetryable(err) || strings.HasSuffix(err.Error(), io.ErrUnexpectedEOF.Error())
}
