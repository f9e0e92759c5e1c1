package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/bundle"
	"vpod/pkg/seccomp"
)

// OCIExecOptions are those of the runtime's exec.
type OCIExecOptions struct {
	Process       string // file with a process; "-" is standard input; "" makes one of the rest
	Args          []string
	Cwd           string
	Env           []string
	User          *specs.User // nil is the container's
	Terminal      bool
	ConsoleSocket string
	PIDFile       string
	Detach        bool
}

// Exec starts one more process in a running container. A shim stands for it on the
// host, as for the container itself. Unless detached it returns the process's exit
// code when it has ended.
func (r *OCIRuntime) Exec(ctx context.Context, id string, o OCIExecOptions) (int, error) {
	rec, status, err := r.loadStatus(id)
	if err != nil {
		return ExitOwnFailure, err
	}
	if status != specs.StateRunning {
		return ExitOwnFailure, fmt.Errorf("container %q: cannot exec in a container that is %s", id, status)
	}
	proc, err := execOCIProcess(rec, o)
	if err != nil {
		return ExitOwnFailure, err
	}
	switch {
	case proc.Terminal && o.ConsoleSocket == "":
		return ExitOwnFailure, fmt.Errorf("a terminal is asked for: give --console-socket")
	case !proc.Terminal && o.ConsoleSocket != "":
		return ExitOwnFailure, fmt.Errorf("--console-socket: no terminal is asked for")
	}
	input, err := json.Marshal(proc)
	if err != nil {
		return ExitOwnFailure, err
	}
	shim, err := r.startShim(ctx, "", input, "exec-shim", "--console-socket", o.ConsoleSocket, id)
	if err != nil {
		return exitCodeOf(err), err
	}
	if err := writePIDFile(o.PIDFile, shim.pid); err != nil {
		shim.kill()
		return ExitOwnFailure, err
	}
	if o.Detach {
		return 0, nil
	}
	return shim.wait(), nil
}

// wait passes this process's signals on to the shim and returns its exit code.
func (s *ociShim) wait() int {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwardedSignals...)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case sig := <-signals:
				_ = s.cmd.Process.Signal(sig)
			case <-ended:
				return
			}
		}
	}()
	_ = s.cmd.Wait() // the state says it
	return s.cmd.ProcessState.ExitCode() & 0xff
}

// forwardedSignals are those a process on the host passes on to the one it stands for.
var forwardedSignals = []os.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// execOCIProcess makes the process to start.
func execOCIProcess(rec ociRecord, o OCIExecOptions) (*specs.Process, error) {
	if o.Process != "" {
		return bundle.ReadProcess(o.Process)
	}
	b, err := bundle.Read(rec.Bundle)
	if err != nil {
		return nil, err
	}
	p := *b.Config.Process
	p.Args, p.Terminal, p.ConsoleSize = o.Args, o.Terminal, nil
	p.Env = mergeEnv(p.Env, o.Env)
	if o.Cwd != "" {
		p.Cwd = o.Cwd
	}
	if o.User != nil {
		p.User = *o.User
	}
	return &p, nil
}

// ExecShim is the body of a shim that stands for a process of exec, described on
// descriptor 4. It returns the process's exit code.
func (r *OCIRuntime) ExecShim(ctx context.Context, id, consoleSocket string) (int, error) {
	word, input := os.NewFile(3, "ready"), os.NewFile(4, "process")
	unix.CloseOnExec(3)
	unix.CloseOnExec(4)
	x, opts, err := r.beginExec(ctx, id, consoleSocket, input)
	tell(word, err)
	if err != nil {
		return exitCodeOf(err), err
	}
	return x.carry(ctx, opts)
}

// beginExec starts the process.
func (r *OCIRuntime) beginExec(ctx context.Context, id, consoleSocket string, input io.ReadCloser) (*execSession, ExecOptions, error) {
	opts := ExecOptions{Streams: Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}}
	defer input.Close()
	var proc specs.Process
	if err := json.NewDecoder(input).Decode(&proc); err != nil {
		return nil, opts, fmt.Errorf("read the process: %w", err)
	}
	rec, err := r.load(id)
	if err != nil {
		return nil, opts, err
	}
	p, err := bundle.TranslateProcess(&proc)
	if err != nil {
		return nil, opts, err
	}
	if p.Seccomp, err = ociFilter(rec, &proc); err != nil {
		return nil, opts, err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwardedSignals...)
	opts.Streams.Signals = signals
	x := &execSession{
		agent:     agentclient.New(agentclient.Dial(r.dir(id).files().AgentSocket())),
		container: agentID(id),
		id:        newID(),
	}
	if proc.Terminal {
		terminal, err := bundle.OpenConsole(ctx, consoleSocket)
		if err != nil {
			return nil, opts, err
		}
		bundle.TakeTerminal(terminal)
		opts.Terminal = true
		opts.Streams.Stdin, opts.Streams.Stdout, opts.Streams.Stderr = terminal, terminal, nil
		opts.Streams.Resize = execSizes(terminalSizes(terminal))
	}
	if err := x.start(ctx, id, p); err != nil {
		return nil, opts, monitorGone(id, podmanWords(err, proc.Args[0]))
	}
	return x, opts, nil
}

// podmanWords says of a command that is not there what Podman looks for in a
// runtime's errors.
func podmanWords(err error, command string) error {
	switch exitCodeOf(err) {
	case ExitNotFound:
		return &ExitError{Code: ExitNotFound, Err: fmt.Errorf("executable file `%s` not found in $PATH: No such file or directory", command)}
	case ExitNotExecutable:
		return &ExitError{Code: ExitNotExecutable, Err: fmt.Errorf("%w: permission denied", err)}
	}
	return err
}

// ociFilter compiles the container's seccomp profile for a process of it.
func ociFilter(rec ociRecord, proc *specs.Process) ([]byte, error) {
	b, err := bundle.Read(rec.Bundle)
	if err != nil {
		return nil, err
	}
	if b.Config.Linux == nil || b.Config.Linux.Seccomp == nil {
		return nil, nil
	}
	raw, err := json.Marshal(b.Config.Linux.Seccomp)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	var caps []string
	if proc.Capabilities != nil {
		caps = proc.Capabilities.Bounding
	}
	return compileProfile(raw, caps)
}

// compileProfile compiles a seccomp profile for processes with the given capabilities.
func compileProfile(raw []byte, caps []string) ([]byte, error) {
	profile, err := seccomp.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	filter, err := seccomp.Compile(profile, seccomp.Target{Arch: runtime.GOARCH, Caps: caps})
	if err != nil {
		return nil, fmt.Errorf("compile the seccomp profile: %w", err)
	}
	return filter, nil
}

// execSizes puts sizes into the engine's words.
func execSizes(in <-chan agentproto.ResizeRequest) <-chan Size {
	out := make(chan Size)
	go func() {
		for s := range in {
			out <- Size{Rows: s.Rows, Cols: s.Cols}
		}
	}()
	return out
}
