package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
	"vpod/pkg/logs"
	"vpod/pkg/paths"
	"vpod/pkg/timing"
)

// Run is the monitor: it carries out the launch orders in the file at
// launchPath and returns when the container has ended for good. What went wrong
// is told on report and recorded in exit.json; the error returned is only about
// what could not be told there.
//
// It takes ownership of report, one end of a socket pair, and of liveLock, the
// container's liveness lock, which it lets go of once the exit record is written.
// It changes the process: its umask, the signals it heeds, its memory settings.
// SIGTERM and the end of ctx stop the container as its stop settings say.
//
// record holds the time before; it is added to where the orders say so.
func Run(ctx context.Context, launchPath string, report, liveLock *os.File, record *timing.Recorder) error {
	unix.CloseOnExec(int(report.Fd()))
	unix.CloseOnExec(int(liveLock.Fd()))
	detachProcess()
	rep, err := newReporter(report)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	renewals := make(chan os.Signal, 1)
	signal.Notify(renewals, RenewSignal)
	s, err := newSupervisor(launchPath, rep, liveLock, startQEMU)
	if err != nil {
		err = fmt.Errorf("start the monitor: %w", err)
		_ = rep.send(Report{Event: ReportFailed, Error: err.Error(), ExitCode: exitOwnFailure})
		rep.close()
		return err
	}
	if err := recordCrash(s.files.MonitorLog()); err != nil {
		s.log.Warn("start the monitor", "error", err)
	}
	s.renewals = renewals
	if s.launch.Timing {
		s.record = record
	}
	s.record.Mark("read the orders, open files and sockets")
	return s.supervise(ctx)
}

// detachProcess makes this process independent of the terminal and the command
// it came from, and small.
func detachProcess() {
	// Fails for a session's leader, which the process then is already.
	_, _ = unix.Setsid()
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	unix.Umask(0o077)
	// A monitor mostly waits: collecting more often costs nothing and keeps it small.
	debug.SetGCPercent(25)
}

// supervisor is a running monitor.
type supervisor struct {
	launch    *Launch
	c         *LaunchContainer // the container the machine belongs to
	files     paths.Container
	pid       int
	start     startMachine
	restartIn func(ran time.Duration, last time.Duration) time.Duration
	// watchClock is newClockTimer, but in tests.
	watchClock func(interval time.Duration) (clockWatch, error)
	limits     limits
	oom        oomGuard

	log     *slog.Logger
	journal *tailFile
	console *tailFile
	output  *logs.Writer
	report  *reporter
	lock    *os.File
	streams *streams
	record  *timing.Recorder // of the first run; nil when nobody asks, and afterwards

	conns sync.WaitGroup // connections being served

	renewals <-chan os.Signal // RenewSignal

	stopping chan struct{} // closed by the first stop; see control.go
	ended    chan struct{} // closed when the exit record is written and the lock let go

	pausing sync.Mutex // held while a machine is paused or unpaused
	paused  *run       // the run whose machine stands still; nil when none does

	mu        sync.Mutex
	runDir    string // where status and sockets are; "" when they are not open
	closed    bool   // they are not to be opened again
	run       *run   // nil while there is no machine
	status    Status
	byUser    bool // the user asked for the end
	noRestart bool // the restart policy does not apply any more
	stopped   bool // stopping is closed
	forwards  []int

	attachSocket, agentSocket *net.UnixListener // open while runDir is set
}

// limits are the deadlines of a machine's end.
type limits struct {
	signal   time.Duration // for the agent to pass a signal on
	kill     time.Duration // for a process to end after SIGKILL
	drain    time.Duration // for output after the process's end, without any coming
	drainAll time.Duration // and in all
	sync     time.Duration // for the guest to write its disks
	syncStop time.Duration // the same when somebody waits for the container to stop
	quit     time.Duration // for QEMU to end
}

// defaultLimits leave a stop well within the time the engine gives a monitor
// beyond the container's stop timeout.
func defaultLimits() limits {
	return limits{
		signal: 5 * time.Second, kill: 5 * time.Second,
		drain: 5 * time.Second, drainAll: 2 * time.Minute,
		sync: time.Minute, syncStop: 8 * time.Second, quit: 2 * time.Second,
	}
}

// newSupervisor opens everything a monitor needs besides the machine.
func newSupervisor(launchPath string, rep *reporter, lock *os.File, start startMachine) (*supervisor, error) {
	l, err := Read(launchPath)
	if err != nil {
		return nil, err
	}
	if len(l.Containers) != 1 {
		return nil, fmt.Errorf("launch orders %s name %d containers; this vpod runs one in a machine", launchPath, len(l.Containers))
	}
	s := &supervisor{
		launch: l, c: &l.Containers[0], pid: os.Getpid(), start: start,
		files:  paths.Container{Data: l.DataDir, Run: l.RunDir},
		limits: defaultLimits(), restartIn: nextBackoff, watchClock: newClockTimer, oom: newOOMGuard(),
		report: rep, lock: lock,
		stopping: make(chan struct{}), ended: make(chan struct{}),
	}
	s.status = Status{
		Version: LaunchVersion, MonitorPID: s.pid, RestartCount: s.c.Restarts,
		Accel: string(l.Machine.Accel), Board: string(l.Machine.Board), Ports: boundPorts(l.Network.Ports),
	}
	if l.Template != nil {
		s.status.Template = l.Template.Key
	}
	if err := s.open(); err != nil {
		s.closeFiles()
		return nil, err
	}
	return s, nil
}

// open opens the files and sockets.
func (s *supervisor) open() (err error) {
	if s.log, s.journal, err = openJournal(s.files.MonitorLog()); err != nil {
		return err
	}
	if s.console, err = openTailFile(s.files.Console(), consoleMax); err != nil {
		return err
	}
	// What an earlier run left is not how this one ended.
	if err := os.Remove(s.files.Exit()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	s.output, err = logs.Open(logs.Options{
		Driver: s.c.Log.Driver, Path: s.c.Log.Path, MaxSizeBytes: s.c.Log.MaxSizeBytes,
		Note: func(text string) { s.log.Warn(text) },
	})
	if err != nil {
		return err
	}
	s.streams = newStreams(s.output, s.files.Data, s.c.Process.Stdin, s.log)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.State = statusStarting
	return s.listen(s.files.Run)
}

// closeFiles closes what open has opened and removes what must not outlive the
// monitor's lock.
func (s *supervisor) closeFiles() {
	s.mu.Lock()
	if s.runDir != "" {
		s.closeSockets()
		s.writeHolder(Holder{})
	}
	s.closed = true
	s.mu.Unlock()
	if s.output != nil {
		if err := s.output.Close(); err != nil {
			s.log.Warn("close container log", "error", err)
		}
	}
	if s.console != nil {
		s.console.Close()
	}
}

// supervise runs the container until it is to run no more.
func (s *supervisor) supervise(ctx context.Context) error {
	s.log.Info("monitor started", "container", s.c.ID, "name", s.c.Name, "pid", s.pid)
	// What serves clients ends with the container, not with ctx, which asks for a stop.
	serving, endServing := context.WithCancel(context.WithoutCancel(ctx))
	defer endServing()
	s.serve(serving)
	go s.mindRunDir(serving)
	asked := context.AfterFunc(ctx, func() {
		s.log.Info("asked to end")
		s.stop(serving, stopRequest{})
	})
	defer asked()

	out := s.runOnce(serving, true)
	wait := time.Duration(0)
	for {
		s.log.Info("container ended", "exitCode", out.exit.ExitCode, "error", out.exit.Error, "oomKilled", out.exit.OOMKilled)
		if !s.wantsRestart(out) {
			break
		}
		if err := writeJSON(s.files.Exit(), out.exit, true); err != nil {
			s.log.Error("write exit record", "error", err)
		}
		wait = s.restartIn(out.ran, wait)
		s.tell(func(st *Status) {
			st.State, st.QEMUPID, st.ExitCode = statusRestarting, 0, out.exit.ExitCode
			st.RestartCount++
		})
		s.streams.exit(s.timed(out.exit), false)
		s.log.Info("restart", "in", wait, "count", out.exit.RestartCount+1)
		if !s.sleep(wait) {
			out.exit.StoppedByUser = s.wasByUser()
			break
		}
		next := s.runOnce(serving, false)
		if next.neverRan && errors.Is(next.err, errStopped) {
			out.exit.StoppedByUser = s.wasByUser()
			break // the last run is what there is to tell of
		}
		out = next
	}
	return s.finish(out, endServing)
}

// finish leaves the record, lets go of the lock, and then of everybody who
// waits for the end.
func (s *supervisor) finish(out outcome, endServing func()) error {
	recordErr := writeJSON(s.files.Exit(), out.exit, true)
	if recordErr != nil {
		s.log.Error("write exit record", "error", recordErr)
	}
	s.closeFiles()
	defer s.discardDisk(out).Close() // of a nil file it is an error, and no harm
	s.unlock()
	close(s.ended)
	endServing()
	told := s.streams.exit(s.timed(out.exit), true)
	for _, c := range told {
		if c.queue.wasLost() {
			c.conn.SetDeadline(time.Now().Add(time.Second)) // it was given up before
		}
	}
	s.conns.Wait()
	s.report.close()
	if s.c.AutoRemove && !out.starterKnows && !promised(told) || s.launch.ReleaseAlways && !s.c.AutoRemove {
		s.release()
	}
	s.log.Info("monitor ends")
	s.journal.Close()
	return recordErr
}

// timed adds to an exit what has been recorded, which is of the first run alone.
func (s *supervisor) timed(exit Exit) Exit {
	s.record.Use(timing.OwnUsage(timing.Monitor))
	s.record.Mark("write the exit record")
	exit.Timing = s.record.Take()
	s.record = nil
	return exit
}

// unlock lets go of the liveness lock, also in a process that still holds a
// copy of the descriptor.
func (s *supervisor) unlock() {
	lock := unix.Flock_t{Type: unix.F_UNLCK}
	if err := unix.FcntlFlock(s.lock.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		s.log.Error("release live lock", "error", err)
	}
	if err := s.lock.Close(); err != nil {
		s.log.Error("close live lock", "error", err)
	}
}

// wantsRestart decides by the container's restart policy.
func (s *supervisor) wantsRestart(out outcome) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || s.noRestart || out.final {
		return false
	}
	return s.c.Restart.Wants(out.exit.ExitCode, out.exit.RestartCount)
}

// current returns the run there is, nil while there is no machine.
func (s *supervisor) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// agentMachine is what the guest is told of itself at this start.
func (s *supervisor) agentMachine(r *run) (*agentproto.Machine, error) {
	m := s.launch.Guest
	m.TimeUnixNano, m.ClockNanos = r.clock.Time()
	entropy, err := freshEntropy()
	m.Entropy = entropy
	return &m, err
}
