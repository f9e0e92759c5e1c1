package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/bundle"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/unixsock"
)

// A shim whose container runs in a keeper's machine (ocikeep.go) has no monitor: it
// holds the liveness lock, writes the status, and talks to the machine's agent itself.

// loan is a keeper's machine in the hands of a shim.
type loan struct {
	conn  *net.UnixConn
	reply *json.Decoder
	asked *bundle.Plan
}

// borrows reports whether a container that runs does so in a keeper's machine.
func (d ociDir) borrows() bool {
	info, err := os.Lstat(d.files().AgentSocket())
	return err == nil && info.Mode()&os.ModeSymlink != 0
}

// openKeeper returns the keeper that a link beside its directory leads to; "" is none,
// also when there is none any more.
func openKeeper(link string) keeperDir {
	if link == "" {
		return ""
	}
	name, err := os.Readlink(link)
	if err != nil || filepath.Base(name) != name {
		return ""
	}
	return keeperDir(filepath.Join(filepath.Dir(link), name))
}

// borrow asks the keeper for its machine; the container's tree goes with the request.
// It returns nil when the keeper does not lend.
func (s *shimRun) borrow(ctx context.Context, asked *bundle.Plan) (*loan, error) {
	files := asked.Guest.Files
	lent := false
	defer func() {
		if !lent {
			asked.Guest.Files = files
		}
	}()
	orders, err := s.runtime.orderMachine(ctx, agentID(string(s.keeper)), s.keeper.files(), s.keeper.share(), asked, nil)
	if err != nil {
		return nil, err
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, s.dir.tree(), unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return nil, fmt.Errorf("open the container's tree: %w", err)
	}
	defer unix.Close(tree)
	// What the machine's kind has nothing to do with stays here.
	orders.Containers = []monitor.LaunchContainer{{Name: orders.Containers[0].Name}}
	request, err := json.Marshal(loanRequest{Container: agentID(s.id), Launch: orders})
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, loanTimeout)
	defer cancel()
	conn, err := unixsock.Dial(limited, s.keeper.socket())
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // it is gone: a machine of its own will do
	}
	l := &loan{conn: conn, reply: json.NewDecoder(bufio.NewReader(conn)), asked: asked}
	if l.ask(request, tree) != nil {
		conn.Close()
		return nil, nil //nolint:nilnil // as above
	}
	lent, asked.Guest.Rootfs.ShareDir = true, keptTree
	if err := s.hold(); err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// ask sends the request and waits for the word that the machine is lent.
func (l *loan) ask(request []byte, tree int) error {
	if err := l.conn.SetDeadline(time.Now().Add(loanTimeout)); err != nil {
		return err
	}
	if _, _, err := l.conn.WriteMsgUnix([]byte{' '}, unix.UnixRights(tree), nil); err != nil {
		return err
	}
	if _, err := l.conn.Write(append(request, '\n')); err != nil {
		return err
	}
	var reply loanReply
	if err := l.reply.Decode(&reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	return l.conn.SetDeadline(time.Time{})
}

// giveBack returns the machine, and with it the keeper's hold on the tree: the caller
// may unmount it once this process has ended.
func (l *loan) giveBack() {
	_ = l.conn.CloseWrite()
	_ = l.conn.SetReadDeadline(time.Now().Add(3 * loanTimeout))
	_, _ = io.Copy(io.Discard, l.conn) // its end
	l.conn.Close()
}

// hold takes what says that the container is there: the liveness lock, until this
// process ends, the status, and the socket to start it by.
func (s *shimRun) hold() error {
	files := s.dir.files()
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.say(time.Time{}); err != nil {
		return err
	}
	if err := os.Symlink(s.keeper.files().AgentSocket(), files.AgentSocket()); err != nil {
		return err
	}
	s.control, err = unixsock.Listen(s.dir.start())
	return err
}

// say writes the status.
func (s *shimRun) say(started time.Time) error {
	b, err := json.Marshal(monitor.Status{Version: monitor.LaunchVersion, MonitorPID: os.Getpid(), StartedAt: started})
	if err != nil {
		return err
	}
	name := s.dir.files().Status()
	if err := os.WriteFile(name+".tmp", b, 0o600); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return os.Rename(name+".tmp", name)
}

// runStep waits for the word to start, carries the streams and returns the exit code.
func (s *shimRun) runStep(ctx context.Context, streams monitor.Streams) (int, error) {
	defer s.control.Close()
	defer s.loan.giveBack()
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwardedSignals...)
	x := &execSession{container: agentID(s.id), id: agentproto.InitProcess}
	started := make(chan error, 1)
	s.start = func() monitor.Report {
		err := s.startStep(ctx, x)
		started <- err
		if err != nil {
			return monitor.Report{Event: monitor.ReportFailed, Error: err.Error(), ExitCode: exitCodeOf(err)}
		}
		return monitor.Report{Event: monitor.ReportStarted}
	}
	go s.serve()
	select {
	case err := <-started:
		if err != nil {
			s.answers.Wait()
			return exitCodeOf(err), err
		}
	case sig := <-signals: // it will not be started any more
		number, _ := sig.(unix.Signal)
		return 128 + int(number), nil
	}
	code, ended, err := x.follow(ctx, ExecOptions{Streams: Streams{
		Stdin: streams.Stdin, Stdout: streams.Stdout, Stderr: streams.Stderr, Signals: signals,
	}})
	if ended {
		// With its first process the agent forgets the container: whatever else runs is
		// killed, and what was written reaches the tree.
		limited, cancel := context.WithTimeout(ctx, startStepTimeout)
		defer cancel()
		if e := x.agent.Forget(limited, x.container, x.id); e != nil && err == nil {
			code, err = ExitOwnFailure, fmt.Errorf("take the container apart: %w", e)
		}
	}
	if err != nil {
		fmt.Fprintln(streams.Stderr, "vpod:", err) // the step's last word, which nobody else could say
	}
	return code, err
}

// startStepTimeout bounds what the agent has to do at a container's start and end.
const startStepTimeout = time.Minute

// startStep waits for the machine and starts the container in it.
func (s *shimRun) startStep(ctx context.Context, x *execSession) error {
	var ready loanReply
	if err := s.loan.reply.Decode(&ready); err != nil {
		return fmt.Errorf("the machine's keeper has gone: %w", err)
	}
	if ready.Error != "" {
		return errors.New(ready.Error)
	}
	if ready.Agent != s.keeper.files().AgentSocket() {
		return fmt.Errorf("the machine's keeper names another socket: %s", filepath.Base(ready.Agent))
	}
	x.agent = agentclient.New(agentclient.Dial(ready.Agent))
	limited, cancel := context.WithTimeout(ctx, startStepTimeout)
	defer cancel()
	_, err := x.agent.Start(limited, x.container, x.id, agentproto.StartRequest{
		Machine: ready.Guest, Container: &s.loan.asked.Guest, Process: s.loan.asked.Process,
	})
	if err != nil {
		return podmanWords(startError(shortOCIName(s.id), err), s.loan.asked.Process.OCI.Args[0])
	}
	s.carry(ctx, x.agent)
	return s.say(time.Now())
}

// killStep sends a signal to the process of a container in a keeper's machine. Should
// the guest not take SIGKILL, its shim ends, and the keeper the machine.
func (r *OCIRuntime) killStep(ctx context.Context, rec ociRecord, sig int) error {
	limited, cancel := context.WithTimeout(ctx, loanTimeout)
	defer cancel()
	agent := agentclient.New(agentclient.Dial(r.dir(rec.ID).files().AgentSocket()))
	err := agent.Signal(limited, agentID(rec.ID), agentproto.InitProcess, agentproto.SignalRequest{Signal: sig})
	var refused *agentproto.Error
	switch {
	case errors.As(err, &refused) && (refused.Code == agentproto.ErrNoProcess || refused.Code == agentproto.ErrNoContainer):
		return fmt.Errorf("container %q: container not running", rec.ID)
	case err != nil && unix.Signal(sig) == unix.SIGKILL:
		return r.endShim(rec, unix.SIGKILL)
	case err != nil:
		return fmt.Errorf("container %q: %w", rec.ID, err)
	}
	return nil
}
