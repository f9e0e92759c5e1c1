package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// A keeper holds one machine for containers that run in it one after another, as the
// steps of a build's stage do. Its share shows the tree of the container that has
// the machine, and nothing else. Shims borrow the machine (ocistep.go); whoever started
// the keeper says by that which containers may share one.

// KeeperSocket is the file in a keeper's directory by which machines are borrowed.
const KeeperSocket = "keeper.sock"

// keeperDir are the files of a keeper.
type keeperDir string

func (d keeperDir) socket() string { return filepath.Join(string(d), KeeperSocket) }
func (d keeperDir) share() string  { return filepath.Join(string(d), "share") }
func (d keeperDir) tree() string   { return filepath.Join(d.share(), keptTree) }
func (d keeperDir) files() paths.Container {
	return paths.Container{Data: filepath.Join(string(d), "data"), Run: filepath.Join(string(d), "run")}
}

// keptTree is the directory of a keeper's share that shows a container's tree.
const keptTree = "tree"

// loanRequest asks a keeper for its machine; the tree comes with it as a descriptor.
type loanRequest struct {
	Container string          `json:"container"` // agentID
	Launch    *monitor.Launch `json:"launch"`    // of the machine, should there be none of this kind
}

// loanReply answers twice: that the machine is lent, and when it can be used. The end
// of the connection gives it back, which the keeper answers by the same.
type loanReply struct {
	Error string              `json:"error,omitempty"`
	Agent string              `json:"agent,omitempty"` // socket
	Guest *agentproto.Machine `json:"guest,omitempty"` // what it is to be told with the container
}

const (
	// maxLoanRequest bounds a request, in bytes.
	maxLoanRequest = 1 << 20
	// loanTimeout bounds what a keeper has to say or to do at once.
	loanTimeout = 10 * time.Second
)

// keeper is a keeper at work.
type keeper struct {
	dir  keeperDir
	log  *slog.Logger
	kind string // of the machine
	lent *monitor.Lent
}

// Keep is the body of a keeper: it lends its machine to one shim after another until
// the process with the id leash ends, or ctx does and no shim has it. It must be in
// another mount namespace than that process, where it unmounts what it does not need.
// Descriptor 3 is the socket it listens on.
func (r *OCIRuntime) Keep(ctx context.Context, dir string, leash int) error {
	k := &keeper{dir: keeperDir(dir), log: r.eng.opts.Log}
	if err := checkOwnMounts(leash); err != nil {
		return err
	}
	if err := onEnd(leash, func() { os.Exit(lostMonitorExit) }); err != nil {
		return err
	}
	f := os.NewFile(3, KeeperSocket)
	l, err := net.FileListener(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("keeper's socket: %w", err)
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		return errors.New("keeper's socket: it is of another kind")
	}
	if err := k.furnish(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer k.endMachine()
	for {
		conn, err := listener.AcceptUnix()
		switch {
		case err == nil:
			k.serve(context.WithoutCancel(ctx), conn)
		case ctx.Err() != nil:
			return nil
		default:
			return fmt.Errorf("keeper's socket: %w", err)
		}
	}
}

// checkOwnMounts fails in a process that shares its mounts with the one it works for.
func checkOwnMounts(leash int) error {
	ours, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return fmt.Errorf("look at the mount namespace: %w", err)
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", leash))
	if err != nil {
		return fmt.Errorf("look at the mount namespace of process %d, which --leash names: %w", leash, err)
	}
	if ours == theirs {
		return errors.New("a keeper must be in a mount namespace of its own: `vpod build` starts it so")
	}
	return nil
}

// furnish makes the keeper's directories and its share, which the guest cannot write
// to but for what is mounted there.
func (k *keeper) furnish() error {
	letGoOfTrees()
	if err := errors.Join(k.dir.files().Make(), os.MkdirAll(k.dir.tree(), 0o700)); err != nil {
		return err
	}
	share := k.dir.share()
	if err := unix.Mount(share, share, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", share, err)
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, share, 0, &attr); err != nil {
		return fmt.Errorf("make %s read-only: %w", share, err)
	}
	return nil
}

// letGoOfTrees unmounts, in this namespace alone, the working containers that were
// mounted when it was made: they would stay mounted for as long as the keeper lives.
// What cannot be unmounted was not the build's.
func letGoOfTrees() {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && strings.HasSuffix(f[1], "/merged") && strings.Contains(f[2], "overlay") {
			_ = unix.Unmount(f[1], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	}
}

// serve lends the machine once.
func (k *keeper) serve(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close() // when all is given back
	tree, req, err := readLoan(conn)
	if err != nil {
		k.log.Warn("a request for the machine", "error", err)
		return
	}
	defer k.takeBack(ctx, req.Container)
	reply := json.NewEncoder(conn)
	err = k.show(tree)
	unix.Close(tree)
	if err != nil {
		_ = reply.Encode(loanReply{Error: err.Error()}) // who asked may be gone
		return
	}
	if reply.Encode(loanReply{}) != nil {
		return
	}
	// A shim that gives the machine back while it comes up is not kept waiting.
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		_, _ = conn.Read(make([]byte, 1)) // its end
		cancel()
	}()
	var ready loanReply
	ready.Guest, err = k.machine(starting, req.Launch)
	if err != nil {
		ready = loanReply{Error: err.Error()}
	} else {
		ready.Agent = k.lent.AgentSocket()
	}
	if reply.Encode(ready) == nil && err == nil {
		<-returned
	}
}

// show mounts a tree in the share.
func (k *keeper) show(tree int) error {
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, k.dir.tree(), unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("show the container's tree: %w", err)
	}
	return nil
}

// takeBack makes sure that nothing of a container is left: one that is still there
// has lost its shim, and goes with the machine.
func (k *keeper) takeBack(ctx context.Context, container string) {
	if k.lent != nil {
		ctx, cancel := context.WithTimeout(ctx, loanTimeout)
		defer cancel()
		if !k.lent.Empty(ctx, container) {
			k.endMachine()
		}
	}
	if err := unix.Unmount(k.dir.tree(), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) {
		k.log.Error("unmount a container's tree", "error", err)
		k.endMachine()
	}
}

func (k *keeper) endMachine() {
	if k.lent != nil {
		k.lent.Close()
		k.lent = nil
	}
}

// machine has a machine of the kind that l describes, the one there is or a new one,
// and returns what it is to be told with its next container.
func (k *keeper) machine(ctx context.Context, l *monitor.Launch) (*agentproto.Machine, error) {
	kind, err := machineKind(l)
	if err != nil {
		return nil, err
	}
	if k.lent != nil {
		select {
		case <-k.lent.Gone():
			k.endMachine()
		default:
			if kind != k.kind {
				k.endMachine()
			}
		}
	}
	if k.lent == nil {
		l.DataDir, l.RunDir = k.dir.files().Data, k.dir.files().Run
		if k.lent, err = monitor.Lend(ctx, l, k.log); err != nil {
			return nil, err
		}
		k.kind = kind
	}
	return k.lent.Guest()
}

// machineKind is the same for machines that a container would not tell from each other.
func machineKind(l *monitor.Launch) (string, error) {
	m, guest := l.Machine, l.Guest
	m.Name, guest.Hostname = "", ""
	if m.NIC != nil {
		nic := *m.NIC
		nic.MAC = ""
		m.NIC = &nic
	}
	nics := append([]agentproto.NIC(nil), guest.NICs...)
	for i := range nics {
		nics[i].MAC = ""
	}
	guest.NICs = nics
	b, err := json.Marshal([]any{m, guest, l.Network, l.Template})
	return string(b), err
}

// readLoan reads a request and the descriptor that comes with its first byte.
func readLoan(conn *net.UnixConn) (tree int, req loanRequest, err error) {
	if err := conn.SetReadDeadline(time.Now().Add(loanTimeout)); err != nil {
		return -1, req, err
	}
	control := make([]byte, unix.CmsgSpace(4))
	first := make([]byte, 1)
	n, oobn, _, _, err := conn.ReadMsgUnix(first, control)
	if err != nil || n != 1 {
		return -1, req, fmt.Errorf("read it: %w", errors.Join(err, unix.EPROTO))
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil || len(messages) != 1 {
		return -1, req, fmt.Errorf("it comes without a tree: %w", errors.Join(err, unix.EPROTO))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return -1, req, fmt.Errorf("it comes without a tree: %w", errors.Join(err, unix.EPROTO))
	}
	unix.CloseOnExec(fds[0])
	line, err := bufio.NewReaderSize(conn, maxLoanRequest).ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(line, &req)
	}
	if err == nil && (req.Launch == nil || req.Container == "") {
		err = unix.EPROTO
	}
	if err == nil {
		err = conn.SetReadDeadline(time.Time{})
	}
	if err != nil {
		unix.Close(fds[0])
		return -1, req, fmt.Errorf("read it: %w", err)
	}
	return fds[0], req, nil
}

// onEnd calls f when another process ends; 0 is none.
func onEnd(pid int, f func()) error {
	if pid == 0 {
		return nil
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watch process %d: %w", pid, err)
	}
	go func() {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(poll, -1); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		f()
	}()
	return nil
}
