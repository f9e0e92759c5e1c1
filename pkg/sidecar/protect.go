package sidecar

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// ErrCannotProtect reports a host on which Command.Protect does not work: a kernel
// before 5.5, or seccomp notifications forbidden to this process.
var ErrCannotProtect = errors.New("files cannot be protected against holes on this host")

// CanProtect tries Command.Protect on this host, on a thread of its own and with
// files in memory: nil when it works, else an error that is ErrCannotProtect. It
// takes about half a millisecond.
func CanProtect() error {
	s := NewSpawner()
	defer s.Close()
	var err error
	s.do(func() { err = tryProtection() })
	if err != nil && !errors.Is(err, ErrCannotProtect) {
		return fmt.Errorf("%w: %w", ErrCannotProtect, err)
	}
	return err
}

// holeGuard answers a process's fallocate calls. On the protected files they
// succeed and do nothing; on all others the kernel goes on with them.
//
// QEMU gives back memory that its guest reports as free by making a hole in the
// file behind it and then dropping the mapped pages (ram_block_discard_range in its
// softmmu/physmem.c), also when the mapping is private. For a file that many
// machines map copy-on-write only the second is right, and QEMU does it only after
// the first has succeeded. A guest could also ask for holes on purpose and so wipe
// the memory of all machines over the same file.
//
// This is a guard against what an honest QEMU is told to do by its guest. It is
// none against a QEMU that the guest has taken over, which may open the file anew
// and write.
//
// It fails closed: without somebody to answer, the kernel lets fallocate fail
// (ENOSYS) and punches nothing.
type holeGuard struct {
	listener *os.File
	files    []*os.File // kept open, so that no other file gets the number of one
	ids      []fileID
	ended    chan struct{}

	// Of answer alone.
	request  []byte
	response []byte
}

// fileID is what makes a file the same one.
type fileID struct{ device, inode uint64 }

// newHoleGuard puts the calling thread, and every process it starts from now on,
// under a guard. The thread must be locked to its goroutine and never be given
// back; it also loses the right to gain privileges (PR_SET_NO_NEW_PRIVS). The
// caller keeps files, and closes the guard. Where the host refuses the guard, the
// error is ErrCannotProtect.
func newHoleGuard(files []*os.File) (*holeGuard, error) {
	g := &holeGuard{ended: make(chan struct{})}
	for _, f := range files {
		if err := g.keep(f); err != nil {
			g.closeFiles()
			return nil, fmt.Errorf("protect %s: %w", f.Name(), err)
		}
	}
	requestBytes, responseBytes, err := notificationSizes()
	if err == nil {
		g.listener, err = listenFallocate()
	}
	if err != nil {
		g.closeFiles()
		return nil, fmt.Errorf("%w: %w", ErrCannotProtect, err)
	}
	g.request, g.response = make([]byte, requestBytes), make([]byte, responseBytes)
	go g.run()
	return g, nil
}

// keep adds a file to the protected ones.
func (g *holeGuard) keep(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var st unix.Stat_t
	var kept int
	var failed error
	if err := conn.Control(func(fd uintptr) {
		if failed = unix.Fstat(int(fd), &st); failed == nil {
			kept, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3)
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return failed
	}
	g.files = append(g.files, os.NewFile(uintptr(kept), f.Name()))
	g.ids = append(g.ids, idOf(&st))
	return nil
}

func idOf(st *unix.Stat_t) fileID { return fileID{device: st.Dev, inode: st.Ino} }

// close stops answering: fallocate fails from now on in the guarded processes.
func (g *holeGuard) close() {
	g.listener.Close()
	<-g.ended
	g.closeFiles()
}

func (g *holeGuard) closeFiles() {
	for _, f := range g.files {
		f.Close()
	}
}

// run answers until the guard is closed or nobody is left to ask.
func (g *holeGuard) run() {
	defer close(g.ended)
	conn, err := g.listener.SyscallConn()
	if err != nil {
		return
	}
	for err == nil {
		err = g.answer(conn)
	}
	g.listener.Close() // who still asks shall not wait for ever
}

// descriptorFile returns the file behind a descriptor of a process (or thread).
func descriptorFile(pid uint32, fd int32) (fileID, error) {
	var st unix.Stat_t
	path := "/proc/" + strconv.FormatUint(uint64(pid), 10) + "/fd/" + strconv.FormatInt(int64(fd), 10)
	if err := unix.Stat(path, &st); err != nil {
		return fileID{}, err
	}
	return idOf(&st), nil
}

// judge decides about fallocate(fd, ...) of a thread. The thread waits meanwhile.
// Another thread of an honest QEMU does not give the number to another file while
// a call with it is under way.
func (g *holeGuard) judge(pid uint32, fd int32) verdict {
	file, err := descriptorFile(pid, fd)
	switch {
	case errors.Is(err, unix.ENOENT):
		return verdict{errno: unix.EBADF} // or the process has gone, and nobody reads the answer
	case err != nil:
		return verdict{errno: unix.EPERM}
	}
	for _, id := range g.ids {
		if id == file {
			return verdict{}
		}
	}
	return verdict{proceed: true}
}

// tryProtection protects one file and not another on the calling thread, and looks
// at what fallocate does with them.
func tryProtection() error {
	var files [2]*os.File
	for i := range files {
		fd, err := unix.MemfdCreate("vpod-try", unix.MFD_CLOEXEC)
		if err != nil {
			return fmt.Errorf("make a file in memory: %w", err)
		}
		files[i] = os.NewFile(uintptr(fd), "trial")
		defer files[i].Close()
		if _, err := files[i].Write([]byte("content")); err != nil {
			return fmt.Errorf("write a file in memory: %w", err)
		}
	}
	g, err := newHoleGuard(files[:1])
	if err != nil {
		return err
	}
	defer g.close()
	for i, want := range []string{"content", "\x00\x00\x00\x00\x00\x00\x00"} {
		err := unix.Fallocate(int(files[i].Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096)
		if err != nil {
			return fmt.Errorf("try a guarded fallocate: %w", err)
		}
		got := make([]byte, len(want))
		if _, err := files[i].ReadAt(got, 0); err != nil {
			return fmt.Errorf("read a file in memory: %w", err)
		}
		if string(got) != want {
			return fmt.Errorf("a guarded fallocate left %q in place of %q", got, want)
		}
	}
	return nil
}

// startProtected starts c under a guard: on a thread of its own, because whatever a
// guarded thread starts is guarded.
func (s *Spawner) startProtected(ctx context.Context, c Command) (*Process, error) {
	thread := NewSpawner()
	if !s.adopt(thread) {
		thread.Close()
		return nil, ErrSpawnerClosed
	}
	var guard *holeGuard
	var failed error
	if !thread.do(func() { guard, failed = newHoleGuard(c.Protect) }) {
		return nil, ErrSpawnerClosed
	}
	if failed != nil {
		s.disown(thread)
		return nil, failed
	}
	c.Protect = nil
	p, err := thread.launch(ctx, c)
	if err != nil {
		s.disown(thread)
		guard.close()
		return nil, err
	}
	go func() {
		<-p.done
		s.disown(thread)
		guard.close()
	}()
	return p, nil
}

// guardedThreads are the threads of a Spawner's protected processes.
type guardedThreads struct {
	mu     sync.Mutex
	closed bool
	all    map[*Spawner]struct{}
}

// adopt makes Close close thread, too; false when it was closed before.
func (s *Spawner) adopt(thread *Spawner) bool {
	g := &s.guarded
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	if g.all == nil {
		g.all = map[*Spawner]struct{}{}
	}
	g.all[thread] = struct{}{}
	return true
}

// disown closes thread.
func (s *Spawner) disown(thread *Spawner) {
	g := &s.guarded
	g.mu.Lock()
	delete(g.all, thread)
	g.mu.Unlock()
	thread.Close()
}

// closeGuarded closes the threads of all protected processes.
func (s *Spawner) closeGuarded() {
	g := &s.guarded
	g.mu.Lock()
	g.closed = true
	threads := g.all
	g.all = nil
	g.mu.Unlock()
	for thread := range threads {
		thread.Close()
	}
}
