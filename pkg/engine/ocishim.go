package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
	"vpod/pkg/bundle"
	"vpod/pkg/config"
	"vpod/pkg/container"
	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/network"
	"vpod/pkg/paths"
	"vpod/pkg/qemu"
	"vpod/pkg/unixsock"
)

// The shim is the process whose id a caller of create is told: the container, as
// far as the host can see one. It is the machine's monitor and the client attached
// to it in one; QEMU dies with it.

// OCIShimOptions are those of a shim.
type OCIShimOptions struct {
	ConsoleSocket string
	Leash         int    // id of a process whose end ends the container; 0 is none
	Keeper        string // directory of the keeper whose machine to run in; "" is a machine of its own
}

// Shim is the body of a shim: it returns the container's exit code. Descriptor 3
// takes the word that it is ready.
func (r *OCIRuntime) Shim(ctx context.Context, id string, o OCIShimOptions) (int, error) {
	word := os.NewFile(3, "ready")
	unix.CloseOnExec(3)
	s := &shimRun{runtime: r, id: id, dir: r.dir(id), keeper: openKeeper(o.Keeper)}
	err := s.mindLeash(o.Leash)
	var streams monitor.Streams
	if err == nil {
		streams, err = s.prepare(ctx, o.ConsoleSocket)
	}
	if err == nil && s.loan == nil {
		err = s.begin(ctx)
	}
	if err == nil {
		err = r.own(id)
	}
	tell(word, err)
	if err != nil {
		return ExitOwnFailure, err
	}
	if s.loan != nil {
		return s.runStep(ctx, streams)
	}
	return s.run(ctx, streams)
}

// mindLeash ends this process, and the machine with it, when another one ends: a
// caller that is killed leaves nothing.
func (s *shimRun) mindLeash(pid int) error {
	return onEnd(pid, func() {
		// The tree is unmounted first: what is below it is the caller's.
		if unix.Unmount(s.dir.tree(), unix.MNT_DETACH) == nil {
			_ = s.runtime.remove(s.id) // there is nobody to tell
		}
		os.Exit(lostMonitorExit)
	})
}

// tell answers startShim.
func tell(word *os.File, err error) {
	var ready shimReady
	if err != nil {
		ready.Error = err.Error()
		var exit *ExitError
		if errors.As(err, &exit) {
			ready.Code = exit.Code
		}
	}
	_ = json.NewEncoder(word).Encode(ready) // a caller that is gone needs no answer
	word.Close()
}

// shimRun is one shim at work.
type shimRun struct {
	runtime *OCIRuntime
	id      string
	dir     ociDir
	keeper  keeperDir  // "" is none
	loan    *loan      // of the keeper's machine; nil with a machine of its own
	sockets []*os.File // of the host, that the container connects to

	report  *bufio.Reader
	conn    net.Conn // the report's other direction
	ended   chan struct{}
	control *net.UnixListener
	lock    *os.File // liveness lock, with a loan

	once    sync.Once
	answers sync.WaitGroup
	start   func() monitor.Report // starts the process; called once
	result  chan monitor.Report   // how the start went; holds one
}

// prepare composes the root, opens the terminal and writes the monitor's orders.
func (s *shimRun) prepare(ctx context.Context, consoleSocket string) (monitor.Streams, error) {
	streams := monitor.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	rec, err := s.runtime.load(s.id)
	if err != nil {
		return streams, err
	}
	b, err := bundle.Read(rec.Bundle)
	if err != nil {
		return streams, err
	}
	asked, err := bundle.Translate(&b.Config)
	if err != nil {
		return streams, fmt.Errorf("container %q: %w", s.id, err)
	}
	if len(asked.Dropped) > 0 {
		s.runtime.eng.opts.Log.Debug("left out, as it means nothing in a machine", "container", s.id, "what", asked.Dropped)
	}
	if s.sockets, err = takeSockets(asked, s.dir); err != nil {
		return streams, fmt.Errorf("container %q: %w", s.id, err)
	}
	shares, err := asked.Reveal()
	if err != nil {
		return streams, err
	}
	if err := bundle.Compose(s.dir.tree(), b.Rootfs, asked.Binds); err != nil {
		return streams, err
	}
	if err := lookCommand(s.dir.tree(), asked); err != nil {
		return streams, err
	}
	if s.keeper != "" && len(shares) == 0 && !asked.Process.OCI.Terminal {
		if s.loan, err = s.borrow(ctx, asked); err != nil || s.loan != nil {
			return streams, err
		}
	}
	orders, err := s.runtime.ociOrders(ctx, s.id, s.dir, asked, shares)
	if err != nil {
		return streams, err
	}
	if err := writeLaunch(s.dir.files().Launch(), orders); err != nil {
		return streams, err
	}
	if asked.Process.OCI.Terminal {
		terminal, err := bundle.OpenConsole(ctx, consoleSocket)
		if err != nil {
			return streams, err
		}
		bundle.TakeTerminal(terminal)
		streams = monitor.Streams{Stdin: terminal, Stdout: terminal, Resize: terminalSizes(terminal)}
	}
	return streams, nil
}

// lookCommand refuses a command that is not in the container, with the words by
// which Podman knows the case.
func lookCommand(tree string, asked *bundle.Plan) error {
	command, searchPath := asked.Process.OCI.Args[0], ""
	for _, env := range asked.Process.OCI.Env {
		if value, ok := strings.CutPrefix(env, "PATH="); ok {
			searchPath = value
		}
	}
	if !errors.Is(bundle.LookPath(tree, command, searchPath, asked.Process.OCI.Cwd), fs.ErrNotExist) {
		return nil
	}
	for _, b := range asked.Guest.OCI.Mounts {
		if strings.HasPrefix(command, b.Destination+"/") {
			return nil // it may be there once the guest has mounted it
		}
	}
	return &ExitError{Code: ExitNotFound, Err: fmt.Errorf("executable file `%s` not found in $PATH: No such file or directory", command)}
}

// ociOrders plans the machine of a bundle.
func (r *OCIRuntime) ociOrders(ctx context.Context, id string, dir ociDir, asked *bundle.Plan, shares []bundle.Share) (*monitor.Launch, error) {
	return r.orderMachine(ctx, id, dir.files(), dir.tree(), asked, shares)
}

// orderMachine plans a machine with its files in the given places that has tree as
// its share.
func (r *OCIRuntime) orderMachine(ctx context.Context, id string, files paths.Container, tree string, asked *bundle.Plan, shares []bundle.Share) (*monitor.Launch, error) {
	spec := container.Spec{
		ID: agentID(id), Name: shortOCIName(id), Hostname: asked.Guest.OCI.Hostname,
		Machine:    container.Machine{MemoryBytes: asked.MemoryBytes, CPUs: asked.CPUs},
		Network:    container.Network{Mode: container.NetworkNone},
		Rootfs:     container.Rootfs{Mode: container.Rootfs9p},
		Process:    container.Process{Command: []string{"/"}, WorkDir: "/"},
		Log:        container.Log{Driver: "none"},
		StopSignal: "SIGTERM", StopTimeoutSeconds: 10,
	}
	if err := resolveMachine(&spec); err != nil {
		return nil, err
	}
	host := hostFacts{Files: files, HostCPUs: runtime.NumCPU(), BootTimeout: config.BootTimeout, ShareDir: tree}
	if err := r.eng.machineFacts(ctx, spec, &host); err != nil {
		return nil, err
	}
	own, err := r.ociNetwork(&spec, &host, asked.Network, asked.ResolvConf())
	if err != nil {
		return nil, err
	}
	l, err := plan(spec, host)
	if err != nil {
		return nil, err
	}
	for _, s := range shares {
		l.Machine.Shares = append(l.Machine.Shares, qemu.Share{Tag: s.Tag, Kind: qemu.Share9P, Path: s.Source})
	}
	if asked.Profile != nil {
		if asked.Process.Seccomp, err = compileProfile(asked.Profile, asked.Caps); err != nil {
			return nil, err
		}
	}
	asked.Guest.Files = append(asked.Guest.Files, own...)
	l.Containers[0].Guest, l.Containers[0].Process = asked.Guest, asked.Process
	l.ReleaseCommand, l.ReleaseAlways = nil, false
	return l, r.eng.chooseTemplate(ctx, spec, host, l)
}

// shortOCIName is a container's name in listings of processes and in messages.
func shortOCIName(id string) string { return id[:min(len(id), 40)] }

// ociNetwork gives the machine the network its configuration asks for. The process
// is in the namespace to be joined already. A resolv.conf of the caller's is put into
// the machine's words: it may name servers on the host's loopback.
func (r *OCIRuntime) ociNetwork(spec *container.Spec, host *hostFacts, n bundle.Network, resolvConf string) ([]agentproto.File, error) {
	connected := n.Host
	if n.Path != "" {
		var err error
		if connected, err = hasInterface(); err != nil {
			return nil, err
		}
	}
	if !connected {
		return nil, nil
	}
	cfg, err := config.Load()
	if err != nil {
		return nil, err
	}
	if spec.Network, err = resolveNetwork(container.Network{Mode: container.NetworkUser}, nil, nil, nil); err != nil {
		return nil, err
	}
	o := network.HostOptions{Path: os.Getenv("PATH"), HostsFile: cfg.BaseHostsFile, ResolvConf: resolvConf}
	if host.Network, err = networkPlanOn(*spec, o); err != nil {
		return nil, err
	}
	if !n.Host || resolvConf == "" {
		return nil, nil // the caller knows the name servers of its namespace, or wants the image's
	}
	for _, f := range host.Network.Files {
		if f.Path == "/etc/resolv.conf" {
			return []agentproto.File{f}, nil
		}
	}
	return nil, nil
}

// hasInterface reports whether this process's network has anything but loopback.
func hasInterface() (bool, error) {
	list, err := net.Interfaces()
	if err != nil {
		return false, fmt.Errorf("look at the network namespace: %w", err)
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback == 0 && i.Flags&net.FlagUp != 0 {
			return true, nil
		}
	}
	return false, nil
}

// begin starts the monitor, which brings the machine up, and listens for the word
// to start the process.
func (s *shimRun) begin(ctx context.Context) error {
	files := s.dir.files()
	lock, err := filelock.TryLock(files.LiveLock())
	if err != nil {
		return err
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make the monitor's report channel: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "report"), os.NewFile(uintptr(fds[1]), "report")
	s.conn, err = net.FileConn(ours)
	ours.Close()
	if err != nil {
		return fmt.Errorf("make the monitor's report channel: %w", err)
	}
	if s.control, err = unixsock.Listen(s.dir.start()); err != nil {
		return err
	}
	s.report = bufio.NewReaderSize(s.conn, maxReportLine)
	s.result = make(chan monitor.Report, 1)
	s.start = func() monitor.Report {
		if _, err := io.WriteString(s.conn, monitor.GoLine); err != nil {
			return monitor.Report{Event: monitor.ReportFailed, Error: err.Error(), ExitCode: ExitOwnFailure}
		}
		return <-s.result
	}
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		_ = monitor.Run(context.WithoutCancel(ctx), files.Launch(), theirs, lock, nil) // it has reported what went wrong
	}()
	rep, err := s.await(monitor.ReportReady)
	if err == nil && rep.Event == monitor.ReportFailed {
		err = errors.New(rep.Error)
	}
	return err
}

// await reads reports until the wanted one or that of a failure.
func (s *shimRun) await(event string) (monitor.Report, error) {
	for {
		line, err := s.report.ReadSlice('\n')
		if err != nil {
			return monitor.Report{}, fmt.Errorf("the container's monitor ended without a word: %w", err)
		}
		var rep monitor.Report
		if err := json.Unmarshal(line, &rep); err != nil {
			return rep, fmt.Errorf("the monitor's report: %w", err)
		}
		if rep.Event == event || rep.Event == monitor.ReportFailed {
			return rep, nil
		}
	}
}

// run waits for the word to start, carries the streams and returns the exit code.
func (s *shimRun) run(ctx context.Context, streams monitor.Streams) (int, error) {
	defer func() { <-s.ended }()
	defer s.control.Close()
	go s.serve()
	streams.Attached = func() {
		go func() {
			rep, err := s.await(monitor.ReportStarted)
			if err != nil {
				rep = monitor.Report{Event: monitor.ReportFailed, Error: err.Error(), ExitCode: ExitOwnFailure}
			}
			if rep.Event == monitor.ReportStarted {
				s.carry(ctx, agentclient.New(agentclient.Dial(s.dir.files().AgentSocket())))
			}
			s.result <- rep
		}()
	}
	exit, err := monitor.Attach(context.WithoutCancel(ctx), s.dir.files().AttachSocket(), agentID(s.id), streams)
	if err != nil {
		return ExitOwnFailure, err
	}
	if exit.Error != "" && !exit.StartedAt.IsZero() {
		return exit.ExitCode, errors.New(exit.Error)
	}
	return exit.ExitCode, nil
}

// serve answers start, which comes once; another is refused.
func (s *shimRun) serve() {
	for {
		conn, err := s.control.AcceptUnix()
		if err != nil {
			return
		}
		s.answers.Go(func() {
			defer conn.Close()
			rep := monitor.Report{Event: monitor.ReportFailed, Error: "it was started before", ExitCode: ExitOwnFailure}
			s.once.Do(func() { rep = s.start() })
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			_ = json.NewEncoder(conn).Encode(rep) // who asked may be gone
		})
	}
}

// terminalSizes tells the sizes of a terminal, the first at once.
func terminalSizes(t *os.File) <-chan agentproto.ResizeRequest {
	sizes := make(chan agentproto.ResizeRequest, 1)
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, unix.SIGWINCH)
	go func() {
		for {
			if ws, err := unix.IoctlGetWinsize(int(t.Fd()), unix.TIOCGWINSZ); err == nil && ws.Row != 0 {
				sizes <- agentproto.ResizeRequest{Rows: ws.Row, Cols: ws.Col}
			}
			<-changes
		}
	}()
	return sizes
}

// remove takes away what there is of a container. The tree must be unmounted where
// this process is, or what is below it would go too.
func (r *OCIRuntime) remove(id string) error {
	dir := r.dir(id)
	if err := os.Remove(dir.tree()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove container %q: %w", id, err)
	}
	for _, name := range []string{"data", "run", "start.sock", "state.json", "state.json.tmp"} {
		if err := os.RemoveAll(filepath.Join(string(dir), name)); err != nil {
			return fmt.Errorf("remove container %q: %w", id, err)
		}
	}
	if err := os.Remove(string(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove container %q: %w", id, err)
	}
	return nil
}
