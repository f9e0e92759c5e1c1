package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/containers/image/v5/docker"
	imgtypes "github.com/containers/image/v5/types"
)

func TestMayPass(t *testing.T) {
	tests := []struct {
		err  error
		want bool
	}{
		{docker.UnexpectedHTTPStatusError{StatusCode: 500}, true},
		{docker.UnexpectedHTTPStatusError{StatusCode: 503}, true},
		{docker.UnexpectedHTTPStatusError{StatusCode: 404}, false},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), true},
		{errors.New("storage child: unexpected EOF"), true},
		{docker.ErrTooManyRequests, true},
		{syscall.ECONNRESET, true},
		{fmt.Errorf("%w: for long", errStalled), true},
		{fmt.Errorf("copy: %w", context.Canceled), false},
		{errors.New("manifest unknown"), false},
	}
	for _, tt := range tests {
		if got := mayPass(tt.err); got != tt.want {
			t.Errorf("mayPass(%v) = %t, want %t", tt.err, got, tt.want)
		}
	}
}

func TestWatchStall(t *testing.T) {
	const limit = time.Minute
	fresh, read, done := imgtypes.ProgressEventNewArtifact, imgtypes.ProgressEventRead, imgtypes.ProgressEventDone
	tests := []struct {
		name   string
		events []imgtypes.ProgressEvent // one every 40 seconds
		quiet  time.Duration            // after them
		stalls bool
	}{
		{"no manifest", nil, 61 * time.Second, true},
		{"manifest in time", nil, 59 * time.Second, false},
		{"steady", []imgtypes.ProgressEvent{fresh, read, read, read, done}, 0, false},
		{"stands still", []imgtypes.ProgressEvent{fresh, read}, 61 * time.Second, true},
		{"unpacks for long", []imgtypes.ProgressEvent{fresh, read, done}, time.Hour, false},
		{"one of two stands still", []imgtypes.ProgressEvent{fresh, fresh, done}, 61 * time.Second, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, giveUp := context.WithCancelCause(t.Context())
				progress, over, ended := make(chan imgtypes.ProgressProperties), make(chan struct{}), make(chan struct{})
				go func() { defer close(ended); watchStall(progress, over, limit, giveUp) }()
				for _, e := range tt.events {
					time.Sleep(40 * time.Second)
					progress <- imgtypes.ProgressProperties{Event: e}
				}
				time.Sleep(tt.quiet)
				synctest.Wait()
				if stalled := errors.Is(context.Cause(ctx), errStalled); stalled != tt.stalls {
					t.Errorf("stalled: %t, want %t", stalled, tt.stalls)
				}
				close(over)
				<-ended
			})
		})
	}
}

func TestPullStalls(t *testing.T) {
	s := newStore(t, "vfs")
	s.opts.StallTimeout = 300 * time.Millisecond
	r, _, addr := newRegistry(t, false)
	r.add(t, "demo:1", demoImage(""))
	r.hang = make(chan struct{})
	defer close(r.hang)
	start := time.Now()
	_, err := s.Pull(t.Context(), addr+"/demo:1", PullOptions{TLSVerify: insecure(), Retry: Retry{Count: noRetry()}})
	if !errors.Is(err, errStalled) || time.Since(start) > 10*time.Second {
		t.Errorf("Pull: %v after %v", err, time.Since(start))
	}
	if layers, err := s.store.Layers(); err != nil || len(layers) != 0 {
		t.Errorf("layers left: %v, %v", layers, err)
	}
}
