package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// clockInterval is how long a guest's clock goes by itself. An emulated machine's
	// differs from the host's by some parts in a million, and by what NTP does to the
	// host's; the rare look costs next to nothing.
	clockInterval = 10 * time.Minute
	// clockTimeout bounds one correction.
	clockTimeout = 30 * time.Second
)

// clockWatch tells when a guest's clock should be looked at.
type clockWatch interface {
	// wait returns when it is time, or with an error when the watch is closed.
	wait() error
	Close() error
}

// keepTime has the guest's clock brought back to the host's as long as the machine
// runs: now and then, and at once when the host's was set or the host has slept.
//
// A container that may set the clock itself is left alone: it has a reason.
func (s *supervisor) keepTime(r *run) {
	if !s.keepsTime() {
		return
	}
	watch, err := s.watchClock(clockInterval)
	if err != nil {
		s.log.Warn("the guest's clock is not kept", "error", err)
		return
	}
	go func() {
		<-r.gone
		watch.Close()
	}()
	for {
		if err := watch.wait(); err != nil {
			if !errors.Is(err, os.ErrClosed) {
				s.log.Warn("the guest's clock is not kept any more", "error", err)
			}
			return
		}
		if !s.isPaused(r) { // its clock is set when it goes on
			s.setClock(r)
		}
	}
}

// keepsTime reports whether the guest's clock is ours to keep.
func (s *supervisor) keepsTime() bool {
	caps := s.c.Process.OCI.Capabilities
	return caps == nil || !slices.Contains(caps.Bounding, "CAP_SYS_TIME")
}

// setClock has the guest's clock brought back once. What fails is tried again next
// time: the machine may be ending.
func (s *supervisor) setClock(r *run) {
	ctx, cancel := context.WithTimeout(context.Background(), clockTimeout)
	defer cancel()
	behind, stepped, err := r.session.KeepTime(ctx, clockLimit)
	switch {
	case err != nil:
		s.log.Debug("keep the guest's clock", "error", err)
	case stepped:
		s.log.Info("the guest's clock was set", "behind", behind)
	default:
		s.log.Debug("the guest's clock was looked at", "behind", behind)
	}
}

// clockTimer is a timer that the kernel also ends when the clock is set, which it is
// when the machine wakes, too: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.
type clockTimer struct {
	file     *os.File
	interval time.Duration
}

// newClockTimer returns a watch that tells every interval and whenever the host's
// clock is set. The caller closes it.
func newClockTimer(interval time.Duration) (clockWatch, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &clockTimer{os.NewFile(uintptr(fd), "timer"), interval}, nil
}

func (t *clockTimer) wait() error {
	conn, err := t.file.SyscallConn()
	if err != nil {
		return err
	}
	end := unix.ItimerSpec{Value: unix.NsecToTimespec(time.Now().Add(t.interval).UnixNano())}
	var armed error
	if err := conn.Control(func(fd uintptr) {
		armed = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &end, nil)
	}); err != nil {
		return err
	}
	if armed != nil {
		return fmt.Errorf("set the timer: %w", armed)
	}
	var expirations [8]byte
	_, err = t.file.Read(expirations[:])
	if errors.Is(err, unix.ECANCELED) {
		return nil
	}
	return err
}

func (t *clockTimer) Close() error { return t.file.Close() }
