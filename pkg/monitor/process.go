package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/logs"
	"vpod/pkg/timing"
)

const (
	// startTimeout bounds the start of the first process: mounts, set-up and execve.
	startTimeout = time.Minute
	// outputChunk is how much output is read at once, in bytes.
	outputChunk = 64 << 10
)

// outcome is what became of one run.
type outcome struct {
	exit         Exit
	ran          time.Duration // of the first process
	neverRan     bool
	err          error // why it never ran
	final        bool  // no restart policy applies
	starterKnows bool  // the command that started the container was told of the failure
}

// runOnce boots the machine, runs the container's first process in it and waits
// for its end. Afterwards the machine is gone. The first run is reported on.
func (s *supervisor) runOnce(ctx context.Context, first bool) outcome {
	starting, started := s.untilStop(ctx)
	defer started(nil)
	var word *starterWord
	if first {
		word = s.askStarter(started)
	}
	r, err := s.startRun(starting, word)
	if err != nil {
		return s.neverRan(err, first)
	}
	defer close(r.gone)
	defer s.setRun(nil)
	began := time.Now()
	close(r.started)
	s.log.Info("container started")
	s.conns.Go(func() { s.keepTime(r) })
	s.tell(func(st *Status) {
		st.StartedAt = began
		if st.State != statusStopping {
			st.State = statusRunning
		}
	})
	if first {
		s.record.Mark("write down that it runs")
		if err := s.report.send(Report{Event: ReportStarted, Timing: s.recorded(r)}); err != nil {
			s.log.Info("nobody waits for the start", "error", err)
		}
		s.report.close()
	}
	out := outcome{exit: s.attend(ctx, r)}
	out.exit.StartedAt, out.exit.FinishedAt = began, time.Now()
	out.ran = time.Since(began)
	s.mu.Lock()
	out.exit.RestartCount, out.exit.StoppedByUser = s.status.RestartCount, s.byUser
	s.mu.Unlock()
	s.tell(func(st *Status) { st.QEMUPID = 0 })
	return out
}

// untilStop returns a context that the first stop cancels with errStopped.
func (s *supervisor) untilStop(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.stopping:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// setRun makes r the run that clients reach; nil ends that.
func (s *supervisor) setRun(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run = r
}

// startRun starts the machine and the container's first process in it, once word
// has come if there is one to wait for: from the machine's template, and cold when
// there is none or it is of no use.
func (s *supervisor) startRun(ctx context.Context, word *starterWord) (*run, error) {
	r, err := s.tryRun(ctx, word)
	var useless *templateError
	if errors.As(err, &useless) && ctx.Err() == nil {
		s.dropTemplate(useless.err)
		return s.tryRun(ctx, word)
	}
	return r, err
}

// tryRun does the work of startRun once. A failed run is gone when it returns.
func (s *supervisor) tryRun(ctx context.Context, word *starterWord) (*run, error) {
	r, err := s.boot(ctx)
	if err != nil {
		return nil, err
	}
	s.setRun(r)
	err = context.Cause(ctx) // a stop that came before setRun has not seen this run
	if err == nil && word != nil {
		err = word.await(ctx, r)
		s.record.Mark("get the word to go on")
	}
	if err == nil {
		err = s.startProcess(ctx, r)
	}
	if err == nil {
		return r, nil
	}
	err = s.startLost(ctx, r, err)
	s.setRun(nil)
	close(r.gone)
	return nil, err
}

// starterWord is the word of the command that started the monitor that the first
// process may run.
type starterWord struct {
	come chan struct{} // closed when it has, or will never
	err  error         // in that case
}

// askStarter tells the command that started the monitor to attach and to give its
// word, which may come while the machine boots. Should the command go away before,
// that calls the start off by giveUp.
func (s *supervisor) askStarter(giveUp context.CancelCauseFunc) *starterWord {
	w := &starterWord{come: make(chan struct{})}
	sent := s.report.send(Report{Event: ReportReady})
	go func() {
		defer close(w.come)
		if w.err = sent; w.err == nil {
			w.err = s.report.awaitGo()
		}
		if w.err != nil {
			w.err = errStarterGone
			giveUp(w.err)
		}
	}()
	return w
}

// await waits for the word.
func (w *starterWord) await(ctx context.Context, r *run) error {
	select {
	case <-w.come:
		return w.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.session.Done():
		return r.session.Err()
	}
}

// startProcess makes the container and starts its first process.
func (s *supervisor) startProcess(ctx context.Context, r *run) error {
	guest, err := s.agentMachine(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the agent did not start it within %s", startTimeout))
	defer cancel()
	asked := timing.Now()
	reply, err := r.client.Start(ctx, s.c.ID, agentproto.InitProcess, agentproto.StartRequest{
		Machine: guest, Container: &s.c.Guest, Process: s.c.Process, Timing: s.record != nil,
	})
	s.record.Add(askedMarks(reply.Laps, asked, timing.Now())...)
	s.record.Mark("the process is started")
	return err
}

// startLost ends the machine of a container that could not be started, and says
// why: the error as it is, or what happened to the machine.
func (s *supervisor) startLost(ctx context.Context, r *run, err error) error {
	var refused *agentproto.Error
	switch {
	case errors.As(err, &refused), errors.Is(err, errStarterGone), errors.Is(context.Cause(ctx), errStopped):
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		r.session.Close()
		s.endMachine(r)
	default:
		_, err = s.explainLost(r, err)
		r.session.Close()
		err = s.blameTemplate(err)
	}
	return err
}

// neverRan makes the outcome of a run whose first process was never started.
func (s *supervisor) neverRan(err error, first bool) outcome {
	code, text := s.startError(err)
	s.mu.Lock()
	exit := Exit{
		Version: LaunchVersion, FinishedAt: time.Now(), ExitCode: code, Error: text,
		RestartCount: s.status.RestartCount, StoppedByUser: s.byUser,
	}
	s.mu.Unlock()
	s.tell(func(st *Status) { st.QEMUPID = 0 })
	out := outcome{exit: exit, neverRan: true, err: err, final: first}
	if first && !errors.Is(err, errStarterGone) {
		s.record.Mark("give the start up")
		rep := Report{
			Event: ReportFailed, Error: fmt.Sprintf("container %s: %s", s.c.Name, text), ExitCode: code,
			Timing: s.record.Take(),
		}
		if err := s.report.send(rep); err != nil {
			s.log.Warn("nobody was told that the container could not be started", "error", err)
		} else {
			out.starterKnows = true
		}
	}
	return out
}

// startError gives a failed start its exit code and text. What to call "not
// found" is said in our words, for the command is ours to name.
func (s *supervisor) startError(err error) (code int, text string) {
	var refused *agentproto.Error
	if !errors.As(err, &refused) {
		return exitOwnFailure, err.Error()
	}
	command := ""
	if len(s.c.Process.OCI.Args) > 0 {
		command = s.c.Process.OCI.Args[0]
	}
	switch refused.Code {
	case agentproto.ErrNotFound:
		if command != "" && !strings.Contains(command, "/") {
			return exitNotFound, fmt.Sprintf("executable file %q not found in $PATH", command)
		}
		return exitNotFound, refused.Message
	case agentproto.ErrNotExecutable, agentproto.ErrNoUser:
		return exitNotExecutable, refused.Message
	}
	return exitOwnFailure, refused.Message
}

// attend carries the streams of a running container, waits for its first process
// and ends the machine. It returns how the process ended.
func (s *supervisor) attend(ctx context.Context, r *run) Exit {
	if s.c.Timeout > 0 {
		timer := time.AfterFunc(s.c.Timeout, func() { s.timeOut(ctx, r) })
		defer timer.Stop()
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { s.pump(ctx, r, 1, logs.Stdout) })
	if !s.c.Process.OCI.Terminal {
		pumps.Go(func() { s.pump(ctx, r, 2, logs.Stderr) })
	}
	inputCtx, endInput := context.WithCancel(ctx)
	inputDone := make(chan struct{})
	go func() {
		defer close(inputDone)
		s.connectInput(inputCtx, r)
	}()

	status, err := r.client.Wait(ctx, s.c.ID, agentproto.InitProcess)
	close(r.exited)
	s.record.Mark("the process runs, and ends")
	exit := Exit{Version: LaunchVersion, ExitCode: status.Code, OOMKilled: status.OOMKilled}
	if err != nil {
		var why error
		exit.ExitCode, why = s.explainLost(r, err)
		exit.Error = why.Error()
		s.log.Error("machine lost", "error", why)
	}
	r.mu.Lock()
	if r.timedOut {
		exit.ExitCode = exitTimedOut
		exit.Error = fmt.Sprintf("killed for running longer than its timeout of %s", s.c.Timeout)
	}
	r.mu.Unlock()

	done := make(chan struct{})
	go func() { pumps.Wait(); close(done) }()
	if err == nil {
		s.drain(r, done)
	}
	endInput()
	<-inputDone
	s.streams.stdin.disconnect()
	s.record.Mark("drain its output")
	if err == nil {
		s.shutdown(ctx, r)
		s.record.Mark("shut the guest down")
	}
	r.session.Close()
	<-done
	s.endMachine(r)
	s.record.Use(r.machine.Usage()...)
	s.record.Mark("end QEMU")
	return exit
}

// pump carries one output of the first process to the log and to the clients,
// and acknowledges what they have taken charge of.
func (s *supervisor) pump(ctx context.Context, r *run, fd int, stream logs.Stream) {
	opening, cancel := context.WithTimeout(ctx, startTimeout)
	out, err := r.client.Output(opening, s.c.ID, agentproto.InitProcess, fd, 0)
	cancel()
	if err != nil {
		s.streamFailed(r, stream.String(), err)
		return
	}
	defer out.Close()
	buf := make([]byte, outputChunk)
	for {
		n, err := out.Read(buf)
		if n > 0 {
			s.streams.output(stream, buf[:n])
			select {
			case r.progress <- struct{}{}:
			default:
			}
			if err == nil {
				err = out.Ack()
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = out.Finish() // the machine may be gone by now
			return
		default:
			s.streamFailed(r, stream.String(), err)
			return
		}
	}
}

// connectInput opens the first process's standard input for attached clients,
// and tells it what they have asked for while it did not run.
func (s *supervisor) connectInput(ctx context.Context, r *run) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if size := s.streams.lastSize(); size != nil && s.c.Process.OCI.Terminal {
		if err := r.client.Resize(ctx, s.c.ID, agentproto.InitProcess, *size); err != nil {
			s.streamFailed(r, "terminal", err)
		}
	}
	for _, sig := range s.takeForwards() {
		_ = s.signal(ctx, r, sig) // it is in the log; there is nobody to tell
	}
	if !s.c.Process.Stdin {
		return
	}
	in, err := r.client.Input(ctx, s.c.ID, agentproto.InitProcess)
	if err != nil {
		s.streamFailed(r, "stdin", err)
		return
	}
	s.streams.stdin.connect(in)
}

// streamFailed deals with a stream that could not be opened or broke.
func (s *supervisor) streamFailed(r *run, stream string, err error) {
	switch {
	case errors.Is(err, agentclient.ErrProtocol):
		r.fail(err)
	case errors.Is(err, agentclient.ErrClosed), errors.Is(err, context.Canceled):
		// The end of the machine, which has its own reason.
	default:
		select {
		case <-r.exited: // nothing to carry any more
		default:
			s.log.Error("stream of the container", "stream", stream, "error", err)
		}
	}
}

// drain waits until all output of an ended process has come, which is at most a
// window of it.
func (s *supervisor) drain(r *run, done <-chan struct{}) {
	all := s.limits.drainAll
	if s.isStopping() {
		all = s.limits.drain
	}
	total, stall := time.NewTimer(all), time.NewTimer(s.limits.drain)
	defer total.Stop()
	defer stall.Stop()
	for {
		select {
		case <-done:
			return
		case <-r.progress:
			stall.Reset(s.limits.drain)
		case <-stall.C:
			if s.streams.blocked.Load() > 0 { // by a client, which is dropped if it takes nothing
				stall.Reset(s.limits.drain)
				continue
			}
			s.log.Warn("the end of the container's output did not come", "waited", s.limits.drain)
			return
		case <-total.C:
			s.log.Warn("the container's output did not end", "waited", all)
			return
		case <-r.session.Done():
			return
		}
	}
}

// shutdown lets the guest write its disks.
func (s *supervisor) shutdown(ctx context.Context, r *run) {
	if s.disposable() {
		return
	}
	limit := s.limits.sync
	if s.isStopping() {
		limit = s.limits.syncStop
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.client.Shutdown(ctx, agentproto.ShutdownRequest{Sync: true}); err != nil {
		s.log.Error("shut the guest down; what it had not written yet is lost", "error", err)
	}
}

// disposable reports whether nothing the guest has written outlives the machine,
// which may then go without a word.
func (s *supervisor) disposable() bool { return s.c.Guest.Rootfs.Volatile }

// endMachine switches the machine off and waits until it is gone.
func (s *supervisor) endMachine(r *run) {
	defer func() {
		r.machine.Kill()
		<-r.consoleDone
	}()
	if s.disposable() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.quit)
	defer cancel()
	if err := r.machine.Quit(ctx); err != nil {
		s.log.Warn("QEMU did not quit and is killed", "error", err)
	}
}
