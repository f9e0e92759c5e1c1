package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// untilInterrupted returns a context that INT, TERM or HUP ends, the signal
// being its cause. The first one lets the command clean up; after it, and after
// release, signals have their usual effect again.
func untilInterrupted(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	release = sync.OnceFunc(func() {
		signal.Stop(signals)
		close(done)
	})
	go func() {
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&interruptError{signal: s})
		case <-done:
		}
	}()
	return ctx, release
}

// forwarded lists the signals that are passed on. Left out are those that cannot
// be caught, the two that libc keeps for itself, and those about vpod itself: its
// children, its terminal, its pipes, and the Go runtime's SIGURG. HUP of a
// terminal that goes away ends vpod and leaves the container alone.
func forwarded(terminal bool) []os.Signal {
	var list []os.Signal
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, 32, 33,
			unix.SIGCHLD, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU, unix.SIGPIPE, unix.SIGURG:
			continue
		}
		if terminal && n == unix.SIGHUP {
			continue
		}
		list = append(list, n)
	}
	return list
}

// How long vpod waits for a process that does not take INT or TERM, as while its
// machine boots or its agent does not answer: so many of them, or for so long. A
// script's timeout sends one and then waits.
const (
	impatience = 2
	patience   = 15 * time.Second
)

// forwardSignals sends every signal vpod gets to the returned channel, until
// stop is called. giveUp is called when the user insists on ending something
// that takes no signals.
func forwardSignals(terminal bool, giveUp func(os.Signal)) (out <-chan os.Signal, stop func()) {
	in := make(chan os.Signal, 32)
	signal.Notify(in, forwarded(terminal)...)
	done := make(chan struct{})
	relayed := make(chan os.Signal)
	var wg sync.WaitGroup
	wg.Go(func() { relaySignals(in, relayed, done, giveUp) })
	return relayed, sync.OnceFunc(func() {
		signal.Stop(in)
		close(done)
		wg.Wait()
	})
}

// relaySignals queues signals until they are taken.
func relaySignals(in <-chan os.Signal, out chan<- os.Signal, done <-chan struct{}, giveUp func(os.Signal)) {
	var queue, ending []os.Signal // ending: the INT and TERM in the queue
	overdue := time.NewTimer(patience)
	defer overdue.Stop()
	overdue.Stop()
	for {
		var next chan<- os.Signal // nil, which is never ready, while the queue is empty
		var head os.Signal
		if len(queue) > 0 {
			next, head = out, queue[0]
		}
		select {
		case s := <-in:
			if isEnding(s) {
				if len(ending) >= impatience {
					giveUp(s)
					continue
				}
				if ending = append(ending, s); len(ending) == 1 {
					overdue.Reset(patience)
				}
			}
			queue = append(queue, s)
		case next <- head:
			if isEnding(head) {
				overdue.Stop()
				if ending = ending[1:]; len(ending) > 0 {
					overdue.Reset(patience)
				}
			}
			queue = queue[1:]
		case <-overdue.C:
			giveUp(ending[0])
		case <-done:
			return
		}
	}
}

// isEnding reports whether a signal asks a process to end.
func isEnding(s os.Signal) bool { return s == syscall.SIGINT || s == syscall.SIGTERM }
