package monitor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"vpod/pkg/agentproto"
	"vpod/pkg/paths"
	"vpod/pkg/unixsock"
)

// Lent is a machine that runs one container after another for others, who talk to
// its agent through AgentSocket. It has no container of its own, no record and no
// policy. Its methods are for one goroutine.
type Lent struct {
	s    *supervisor
	run  *run
	used bool // a container has been started in it, or tried
	end  context.CancelFunc
}

// Lend starts the machine of l, from its template if it has one, and serves its
// agent's socket in l's run directory. What its container is, does not matter. The
// machine ends with Close, and when this process dies.
func Lend(ctx context.Context, l *Launch, log *slog.Logger) (*Lent, error) {
	return lend(ctx, l, startQEMU, log)
}

func lend(ctx context.Context, l *Launch, start startMachine, log *slog.Logger) (*Lent, error) {
	if len(l.Containers) != 1 {
		return nil, fmt.Errorf("launch orders name %d containers", len(l.Containers))
	}
	s := &supervisor{
		launch: l, c: &l.Containers[0], pid: os.Getpid(), start: start,
		files:  paths.Container{Data: l.DataDir, Run: l.RunDir},
		limits: defaultLimits(), watchClock: newClockTimer, oom: newOOMGuard(), log: log,
		stopping: make(chan struct{}), ended: make(chan struct{}),
	}
	var err error
	if s.console, err = openTailFile(s.files.Console(), consoleMax); err != nil {
		return nil, err
	}
	agent, err := unixsock.Listen(s.files.AgentSocket())
	if err != nil {
		s.console.Close()
		return nil, err
	}
	r, err := s.boot(ctx)
	var useless *templateError
	if errors.As(err, &useless) && ctx.Err() == nil {
		s.dropTemplate(useless.err)
		r, err = s.boot(ctx)
	}
	if err != nil {
		agent.Close()
		s.console.Close()
		return nil, err
	}
	s.setRun(r)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	go s.serveAgent(serving, agent)
	s.conns.Go(func() { s.keepTime(r) })
	return &Lent{s: s, run: r, end: func() { end(); agent.Close() }}, nil
}

// AgentSocket is where the machine's agent is reached, as long as the machine is there.
func (m *Lent) AgentSocket() string { return m.s.files.AgentSocket() }

// Gone is closed when the machine has ended, whyever.
func (m *Lent) Gone() <-chan struct{} { return m.run.machine.Done() }

// Guest is what the machine must be told with the start of its next container: who
// it is at the first, fresh random numbers later.
func (m *Lent) Guest() (*agentproto.Machine, error) {
	if !m.used {
		m.used = true
		return m.s.agentMachine(m.run)
	}
	entropy, err := freshEntropy()
	return &agentproto.Machine{Entropy: entropy}, err
}

// Empty reports whether the machine has no container of the given id, by its agent's
// word: none was left behind.
func (m *Lent) Empty(ctx context.Context, container string) bool {
	_, err := m.run.client.List(ctx, container)
	var refused *agentproto.Error
	return errors.As(err, &refused) && refused.Code == agentproto.ErrNoContainer
}

// Close ends the machine at once. Containers in it are killed with it.
func (m *Lent) Close() {
	m.end()
	m.run.session.Close()
	m.run.machine.Kill()
	<-m.run.consoleDone
	close(m.run.gone)
	m.s.setRun(nil)
	m.s.conns.Wait()
	m.s.console.Close()
}
