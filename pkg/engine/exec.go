package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/containers/common/pkg/capabilities"
	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/container"
	"vpod/pkg/detach"
)

// Exec starts one more process in a running container. It returns the session's
// id and, unless opts.Detach, the exit code once the process has ended and its
// output is written; or ErrDetached.
func (e *Engine) Exec(ctx context.Context, nameOrID string, opts ExecOptions) (code int, session string, err error) {
	c, live, err := e.find(ctx, nameOrID)
	if err != nil {
		return ExitOwnFailure, "", err
	}
	if state := shownState(c, live); live == nil || (state != container.Running && state != container.Stopping) {
		return ExitOwnFailure, "", &container.StateError{Name: c.Spec.Name, Have: state, Verb: "exec in", Hint: "can only create exec sessions on running containers"}
	}
	process, err := execProcess(c.Spec, opts)
	if err != nil {
		return ExitOwnFailure, "", err
	}
	x := execSession{
		agent:     agentclient.New(agentclient.Dial(e.reach(c.Spec.ID).AgentSocket())),
		container: c.Spec.ID,
		id:        newID(),
	}
	if err := x.start(ctx, c.Spec.Name, process); err != nil {
		return exitCodeOf(err), "", err
	}
	if opts.Detach {
		return 0, x.id, nil
	}
	code, err = x.carry(ctx, opts)
	return code, x.id, err
}

// execProcess describes the process to start, from the container's and what was
// asked. It is pure but for the compilation of the seccomp filter.
func execProcess(spec container.Spec, opts ExecOptions) (agentproto.Process, error) {
	spec.Process.Terminal = opts.Terminal
	spec.Process.Interactive = opts.Streams.Stdin != nil
	spec.Process.Env = mergeEnv(spec.Process.Env, opts.Env)
	spec.Init = false
	if opts.User != "" {
		spec.Process.User = opts.User
	}
	if opts.WorkDir != "" {
		spec.Process.WorkDir = opts.WorkDir
	}
	if opts.Privileged {
		spec.Privileged = true
		spec.Process.Capabilities = capabilities.AllCapabilities()
		spec.Process.Seccomp = "unconfined"
	}
	filter, err := seccompFilter(spec)
	if err != nil {
		return agentproto.Process{}, err
	}
	p, err := planProcess(spec, opts.Command, filter)
	if err != nil {
		return p, err
	}
	if opts.Size != nil {
		p.OCI.ConsoleSize = &specs.Box{Height: uint(opts.Size.Rows), Width: uint(opts.Size.Cols)}
	}
	return p, nil
}

// execSession is a process started by exec. This command talks to the agent
// itself; the monitor only passes the bytes on.
type execSession struct {
	agent     *agentclient.Client
	container string
	id        string
}

// start starts the process; an *ExitError says which exit code a failure means.
func (x *execSession) start(ctx context.Context, name string, p agentproto.Process) error {
	_, err := x.agent.Start(ctx, x.container, x.id, agentproto.StartRequest{Process: p})
	return startError(name, err)
}

// startError gives an agent's refusal the exit code Podman uses for it.
func startError(name string, err error) error {
	var refused *agentproto.Error
	if !errors.As(err, &refused) {
		return err
	}
	code := ExitOwnFailure
	switch refused.Code {
	case agentproto.ErrNotFound:
		code = ExitNotFound
	case agentproto.ErrNotExecutable, agentproto.ErrNoUser:
		code = ExitNotExecutable
	}
	return &ExitError{Code: code, Err: fmt.Errorf("container %s: %s", name, refused.Message)}
}

// carry connects the streams, waits for the end of the process and has the agent
// forget it.
func (x *execSession) carry(ctx context.Context, opts ExecOptions) (int, error) {
	code, ended, err := x.follow(ctx, opts)
	if ended {
		// The agent keeps what is left of the process until told that nobody will ask again.
		_ = x.agent.Forget(ctx, x.container, x.id)
	}
	return code, err
}

// follow connects the streams and waits for the end of the process; ended says that
// it came.
func (x *execSession) follow(ctx context.Context, opts ExecOptions) (code int, ended bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var outputs sync.WaitGroup
	var mu sync.Mutex
	var outputErr error
	follow := func(fd int, w io.Writer) {
		outputs.Go(func() {
			if err := x.output(ctx, fd, w); err != nil {
				mu.Lock()
				defer mu.Unlock()
				outputErr = errors.Join(outputErr, err)
			}
		})
	}
	follow(1, opts.Streams.Stdout)
	if !opts.Terminal {
		follow(2, opts.Streams.Stderr)
	}
	if !opts.Terminal {
		opts.Streams.DetachKeys = nil // nobody types: what looks like the keys is data
	}
	if opts.Streams.Stdin != nil {
		go func() {
			if err := x.input(ctx, opts.Streams); errors.Is(err, ErrDetached) {
				cancel(ErrDetached)
			}
		}()
	}
	go x.control(ctx, opts.Streams)
	status, err := x.agent.Wait(ctx, x.container, x.id)
	if errors.Is(context.Cause(ctx), ErrDetached) {
		return 0, false, ErrDetached
	}
	if err != nil {
		cancel(nil)
		outputs.Wait()
		return ExitOwnFailure, false, fmt.Errorf("the container ended, or its machine was lost, while the command ran: %w", err)
	}
	outputs.Wait()
	if outputErr != nil && !brokenPipe(outputErr) {
		return ExitOwnFailure, true, outputErr
	}
	return status.Code, true, nil
}

// output copies one output of the process to w; a nil w discards it.
func (x *execSession) output(ctx context.Context, fd int, w io.Writer) error {
	out, err := x.agent.Output(ctx, x.container, x.id, fd, 0)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { out.Close() })
	defer stop()
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		if n > 0 && w != nil {
			if _, err := w.Write(buf[:n]); err != nil {
				out.Close()
				return fmt.Errorf("write the command's output: %w", err)
			}
		}
		if n > 0 {
			if err := out.Ack(); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return out.Finish()
		}
		if err != nil {
			out.Close()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// input copies standard input to the process until it ends or the detach keys
// were typed.
func (x *execSession) input(ctx context.Context, streams Streams) error {
	in, err := x.agent.Input(ctx, x.container, x.id)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { in.Close() })
	defer stop()
	keys := detach.NewMatcher(streams.DetachKeys)
	buf := make([]byte, 32<<10)
	for {
		n, err := streams.Stdin.Read(buf)
		out, detached := keys.Filter(buf[:n])
		if err != nil && !detached {
			out = append(out, keys.Rest()...)
		}
		if len(out) > 0 {
			if _, err := in.Write(out); err != nil {
				return err
			}
		}
		switch {
		case detached:
			return ErrDetached
		case err != nil:
			return in.CloseWrite()
		}
	}
}

// control passes on sizes and signals until ctx ends.
func (x *execSession) control(ctx context.Context, streams Streams) {
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case size, ok := <-streams.Resize:
			if !ok {
				streams.Resize = nil
				continue
			}
			err = x.agent.Resize(ctx, x.container, x.id, agentproto.ResizeRequest{Rows: size.Rows, Cols: size.Cols})
		case sig, ok := <-streams.Signals:
			number, known := sig.(syscall.Signal)
			if !ok {
				streams.Signals = nil
			}
			if !known {
				continue
			}
			err = x.agent.Signal(ctx, x.container, x.id, agentproto.SignalRequest{Signal: int(number)})
		}
		if err != nil && ctx.Err() == nil && !errors.As(err, new(*agentproto.Error)) {
			return // the channel is gone; Wait reports it
		}
	}
}

// brokenPipe reports an output nobody reads any more, which ends a command in a
// pipe as usual.
func brokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed)
}
