package runner

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// streams are the standard streams of a process on its way: the child's ends and
// the agent's.
type streams struct {
	child [3]int // the child's descriptors; the same one thrice for a terminal

	in  *os.File    // nil when standard input is not open
	out [2]*os.File // standard output and error; a terminal has only the first
	tty *os.File    // the terminal, for its size; nil without
}

// pipeSize is what fcntl(F_SETPIPE_SZ) is asked for, in bytes: a process that
// writes much then stops less often.
const pipeSize = 256 << 10

// openPipes opens streams that are not a terminal.
func openPipes(stdin bool) (_ *streams, err error) {
	s := &streams{child: [3]int{-1, -1, -1}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if stdin {
		if s.child[0], s.in, err = openPipe(false); err != nil {
			return nil, err
		}
	} else if s.child[0], err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		// In the container's root, where there may be none.
		if s.child[0], err = emptyPipe(); err != nil {
			return nil, err
		}
	}
	for i := range s.out {
		if s.child[i+1], s.out[i], err = openPipe(true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// openPipe opens a pipe. The child's end blocks, the agent's does not.
func openPipe(childWrites bool) (child int, agent *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, nil, fmt.Errorf("open pipe: %w", err)
	}
	ours, theirs := fds[1], fds[0]
	if childWrites {
		ours, theirs = theirs, ours
	}
	_, _ = unix.FcntlInt(uintptr(ours), unix.F_SETPIPE_SZ, pipeSize)
	if err := unix.SetNonblock(ours, true); err != nil {
		_ = unix.Close(ours)
		_ = unix.Close(theirs)
		return -1, nil, err
	}
	return theirs, os.NewFile(uintptr(ours), "pipe"), nil
}

// emptyPipe returns something to read nothing from.
func emptyPipe() (int, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("open pipe: %w", err)
	}
	return fds[0], unix.Close(fds[1])
}

// openTerminal opens a pseudo terminal of the container's own devpts, so that
// tty(1) tells a name that is there, or of the machine's when it has none. It
// returns the terminal's path in the container, "" for one of the machine's.
func openTerminal(machinePts int, size *specs.Box, stdin bool) (_ *streams, path string, err error) {
	own := true
	master, err := unix.Open("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		own = false
		master, err = unix.Openat(machinePts, "ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, "", fmt.Errorf("open pseudo terminal: %w", err)
	}
	s := &streams{child: [3]int{-1, -1, -1}, tty: os.NewFile(uintptr(master), "terminal")}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return nil, "", fmt.Errorf("number of pseudo terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return nil, "", fmt.Errorf("unlock pseudo terminal: %w", err)
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, "", fmt.Errorf("open the other end of pseudo terminal: %w", errno)
	}
	s.child = [3]int{int(slave), int(slave), int(slave)}
	if size != nil {
		if err := setSize(master, size.Height, size.Width); err != nil {
			return nil, "", err
		}
	}
	// Reading and writing end apart: each has a descriptor.
	if s.out[0], err = duplicate(master); err != nil {
		return nil, "", err
	}
	if stdin {
		if s.in, err = duplicate(master); err != nil {
			return nil, "", err
		}
	}
	if own {
		path = "/dev/pts/" + strconv.Itoa(number)
	}
	return s, path, nil
}

func duplicate(fd int) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicate pseudo terminal: %w", err)
	}
	return os.NewFile(uintptr(n), "terminal"), nil
}

func setSize(fd int, rows, cols uint) error {
	const most = 1<<16 - 1
	ws := unix.Winsize{Row: uint16(min(rows, most)), Col: uint16(min(cols, most))}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &ws); err != nil {
		return fmt.Errorf("set size of terminal: %w", err)
	}
	return nil
}

// endOfFile tells a terminal's reader that no more will come, by the character
// that says so, unless it reads in raw mode.
func endOfFile(tty *os.File) error {
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	var t *unix.Termios
	if cerr := raw.Control(func(fd uintptr) { t, err = unix.IoctlGetTermios(int(fd), unix.TCGETS) }); cerr != nil || err != nil {
		return errors.Join(cerr, err)
	}
	if t.Lflag&unix.ICANON != 0 {
		_, err = tty.Write([]byte{t.Cc[unix.VEOF]})
	}
	return err
}

// own gives the streams to the user the process runs as, so that it can open
// /dev/stdout again.
func (s *streams) own(uid uint32) error {
	for _, fd := range s.child {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if st.Uid == uid || st.Mode&unix.S_IFMT == unix.S_IFCHR && s.tty == nil {
			continue // /dev/null stays root's
		}
		if err := unix.Fchown(fd, int(uid), -1); err != nil {
			return fmt.Errorf("owner of the standard streams: %w", err)
		}
	}
	return nil
}

// closeChild closes the child's ends.
func (s *streams) closeChild() {
	for i, fd := range s.child {
		if fd >= 0 && (i == 0 || fd != s.child[0]) {
			_ = unix.Close(fd)
		}
	}
	s.child = [3]int{-1, -1, -1}
}

// close closes everything.
func (s *streams) close() {
	s.closeChild()
	for _, f := range []*os.File{s.in, s.out[0], s.out[1], s.tty} {
		if f != nil {
			_ = f.Close()
		}
	}
}
