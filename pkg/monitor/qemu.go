package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/qemu"
	"vpod/pkg/qmp"
	"vpod/pkg/sidecar"
	"vpod/pkg/timing"
)

// qemuMachine is a machine run by QEMU.
type qemuMachine struct {
	path          string // of the program
	process       *sidecar.Process
	qmp           *qmp.Monitor
	greeted       chan struct{} // closed when commands may be sent, or never will
	spoke         atomic.Bool   // it has greeted
	channel       *net.UnixConn
	console       *net.UnixConn
	spawner       *sidecar.Spawner
	passt         *sidecar.Passt // nil without
	helpers       []*sidecar.Process
	log           *slog.Logger
	record        *timing.Recorder
	watching      chan struct{} // closed when no more events come
	restored      chan error    // takes how loading a saved state went; nil when the machine boots
	resumed       time.Time     // when it began to run then; set before restored takes anything
	resumedWithin time.Duration // or later by so much
	done          chan struct{}

	mu       sync.Mutex
	asked    bool   // for its end
	fault    string // for which we have ended it
	panicked bool
	shutdown qmp.ShutdownReason
	end      machineEnd
}

// startQEMU starts a machine's helpers and QEMU; all of them die with this
// process, however it dies.
func startQEMU(ctx context.Context, l *Launch, record *timing.Recorder, log *slog.Logger) (_ machine, err error) {
	m := &qemuMachine{
		path: l.QEMU, log: log, record: record, greeted: make(chan struct{}), watching: make(chan struct{}), done: make(chan struct{}),
		spawner: sidecar.NewSpawner(),
	}
	var files qemu.Files
	var closers []io.Closer
	defer func() {
		if err == nil {
			return
		}
		files.Close()
		for _, c := range closers {
			c.Close()
		}
		if m.passt != nil {
			m.passt.Close()
		}
		m.spawner.Close()
	}()
	desc := l.Machine
	var control *net.UnixConn
	for _, end := range []struct {
		ours **net.UnixConn
		fd   *int
		name string
	}{
		{&control, &desc.QMPFD, "qmp"},
		{&m.channel, &desc.AgentFD, "agent"},
		{&m.console, &desc.ConsoleFD, "console"},
	} {
		ours, theirs, err := socketPair(end.name)
		if err != nil {
			return nil, err
		}
		closers = append(closers, ours)
		*end.ours, *end.fd = ours, files.Donate(theirs)
	}
	if err := m.startPasst(ctx, l, &desc, &files); err != nil {
		return nil, err
	}
	virtiofsds, err := m.startVirtiofsds(ctx, l, &desc, &files)
	if err != nil {
		return nil, err
	}
	record.Mark("make the machine's channels, start its helpers")
	if l.memory != nil {
		fd, err := unix.FcntlInt(l.memory.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("hand over the machine's memory: %w", err)
		}
		desc.MemoryPath = fmt.Sprintf("/proc/self/fd/%d", files.Donate(os.NewFile(uintptr(fd), l.memory.Name())))
	}
	stateFD := 0
	if l.Template != nil {
		if stateFD, err = openTemplate(l.Template, &desc, &files); err != nil {
			return nil, err
		}
		m.restored = make(chan error, 1)
	}
	args, err := desc.Args()
	if err != nil {
		return nil, err
	}
	log.Info("start QEMU", "command", qemu.Cmdline(l.QEMU, args))
	// The start can be called off, the machine's life has another end.
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	command := sidecar.Command{Name: "QEMU", Path: l.QEMU, Args: args, Files: files.List()}
	if desc.Incoming != "" {
		ram, err := os.Open(desc.MemoryPath)
		if err != nil {
			return nil, &templateError{err}
		}
		defer ram.Close()
		if desc.MemoryProtected {
			command.Protect = []*os.File{ram}
		}
		command.NoHugePages = true // a machine that uses little of its memory pays for what a huge page adds
	}
	m.process, err = m.spawner.Start(context.WithoutCancel(ctx), command)
	files.Close()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		return nil, &qemu.NotFoundError{Path: l.QEMU, Err: err}
	}
	if err != nil {
		return nil, err
	}
	record.Mark("spawn QEMU")
	record.MeasureMachine(m.process.CPUTime)
	m.qmp = qmp.New(control, qmp.Options{Log: log})
	go m.watch(m.qmp.Watch(context.WithoutCancel(ctx)))
	if m.restored != nil {
		events := m.qmp.Watch(ctx)
		go func() {
			err := m.restore(ctx, stateFD, events)
			log.Info("machine restored", "error", err)
			m.restored <- err
		}()
	}
	go func() {
		defer close(m.greeted)
		_, err := m.qmp.Handshake(context.WithoutCancel(ctx))
		m.spoke.Store(err == nil)
		if err != nil && !errors.Is(err, qmp.ErrGone) {
			log.Error("talk to QEMU", "error", err)
		}
		record.Mark("QEMU makes the machine, and greets")
	}()
	for _, v := range virtiofsds {
		go m.mind(v)
	}
	go m.wait()
	return m, nil
}

// socketPair returns our end of a stream and the one to give away.
func socketPair(name string) (*net.UnixConn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the machine's %s channel: %w", name, err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours) // a duplicate
	if err := errors.Join(err, ours.Close()); err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make the machine's %s channel: %w", name, err)
	}
	return conn.(*net.UnixConn), theirs, nil
}

// startPasst starts passt when the orders name it, and makes it the NIC's other end.
func (m *qemuMachine) startPasst(ctx context.Context, l *Launch, desc *qemu.Machine, files *qemu.Files) error {
	if l.Network.Passt == "" || desc.NIC == nil {
		return nil
	}
	if len(l.Guest.NICs) == 0 {
		return errors.New("start passt: the orders hold no addresses for the guest's interface")
	}
	pl, err := sidecar.NewPasstLaunch(l.Network.Passt, l.Network.PasstArgs, l.Guest.NICs[0], m.log)
	if err != nil {
		return err
	}
	if m.passt, err = sidecar.StartPasst(ctx, m.spawner, pl); err != nil {
		return err
	}
	m.helpers = append(m.helpers, m.passt.Process)
	nic := *desc.NIC
	nic.User, nic.StreamFD = nil, files.Donate(m.passt.NIC)
	desc.NIC = &nic
	return nil
}

// startVirtiofsds starts a virtiofsd for each share that the orders name one for.
func (m *qemuMachine) startVirtiofsds(ctx context.Context, l *Launch, desc *qemu.Machine, files *qemu.Files) ([]*sidecar.Virtiofsd, error) {
	if len(l.Virtiofsd) == 0 {
		return nil, nil
	}
	var started []*sidecar.Virtiofsd
	desc.Shares = append([]qemu.Share(nil), desc.Shares...)
	for i := range desc.Shares {
		share := &desc.Shares[i]
		for _, orders := range l.Virtiofsd {
			if orders.Tag != share.Tag || share.Kind != qemu.ShareVirtioFS {
				continue
			}
			socket := filepath.Join(l.DataDir, fmt.Sprintf("virtiofsd%d.sock", i))
			v, err := sidecar.StartVirtiofsd(ctx, m.spawner, orders.Path, sidecar.VirtiofsdConfig{Dir: orders.Dir, Cache: orders.Cache}, socket)
			if err != nil {
				return nil, err
			}
			share.FD = files.Donate(v.Socket)
			started = append(started, v)
			m.helpers = append(m.helpers, v.Process)
		}
	}
	return started, nil
}

// mind ends the machine when its virtiofsd ends: the guest would wait for it for ever.
func (m *qemuMachine) mind(v *sidecar.Virtiofsd) {
	select {
	case <-m.process.Done():
		return
	case <-v.Done():
	}
	detail := "virtiofsd ended"
	if err := v.Wait(context.Background()); err != nil {
		detail = err.Error()
	}
	m.giveUp(detail)
}

func (m *qemuMachine) Channel() net.Conn     { return m.channel }
func (m *qemuMachine) Console() io.Reader    { return m.console }
func (m *qemuMachine) PID() int              { return m.process.PID() }
func (m *qemuMachine) Done() <-chan struct{} { return m.done }

// Ready waits for the saved state, if the machine starts from one, and for passt,
// which has bound the published ports then.
func (m *qemuMachine) Ready(ctx context.Context) error {
	if m.restored != nil {
		select {
		case err := <-m.restored:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if m.passt == nil {
		return nil
	}
	if err := m.passt.Ready(ctx); err != nil {
		return &networkError{err}
	}
	m.record.Mark("passt is ready")
	return nil
}

// networkError reports a network helper that does not serve.
type networkError struct{ err error }

func (e *networkError) Error() string { return "connect the network: " + e.err.Error() }
func (e *networkError) Unwrap() error { return e.err }

// Usage implements machine.
func (m *qemuMachine) Usage() []timing.Usage {
	var list []timing.Usage
	for _, p := range append([]*sidecar.Process{m.process}, m.helpers...) {
		user, system := p.Usage()
		list = append(list, timing.Usage{Process: p.Name(), UserNanos: int64(user), SystemNanos: int64(system)})
	}
	return list
}

// Quit implements machine by QMP's quit.
func (m *qemuMachine) Quit(ctx context.Context) error {
	m.ask()
	select {
	case <-m.greeted:
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("quit QEMU: %w", ctx.Err())
	}
	if err := m.qmp.Quit(ctx); err != nil && !errors.Is(err, qmp.ErrGone) {
		return err
	}
	select {
	case <-m.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("quit QEMU: %w", ctx.Err())
	}
}

// Kill implements machine.
func (m *qemuMachine) Kill() {
	m.ask()
	m.process.Kill()
	<-m.done
}

// ask notes that the machine's end is wanted, unless it has come already.
func (m *qemuMachine) ask() {
	select {
	case <-m.process.Done():
		return
	default:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = true
}
