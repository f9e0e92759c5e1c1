package bundle

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"vpod/pkg/unixsock"
)

// OpenConsole makes a terminal, sends its master to the listener at socket, as
// runc's docs/terminals.md has it, and returns the other end in raw mode: the
// guest's own terminal does what one does. The caller closes it.
func OpenConsole(ctx context.Context, socket string) (_ *os.File, err error) {
	conn, err := unixsock.Dial(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("console socket: %w", err)
	}
	defer conn.Close()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a terminal: %w", err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("make a terminal: %w", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("make a terminal: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", number)
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a terminal: %w", err)
	}
	defer func() {
		if err != nil {
			slave.Close()
		}
	}()
	if err := makeRaw(int(slave.Fd())); err != nil {
		return nil, err
	}
	if _, _, err := conn.WriteMsgUnix([]byte(name), unix.UnixRights(int(master.Fd())), nil); err != nil {
		return nil, fmt.Errorf("console socket: %w", err)
	}
	return slave, nil
}

func makeRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// TakeTerminal makes the calling process a session leader with t as its controlling
// terminal, so that changes of its size are signalled. Failing that, they are not.
func TakeTerminal(t *os.File) {
	_, _ = unix.Setsid()
	_ = unix.IoctlSetInt(int(t.Fd()), unix.TIOCSCTTY, 0)
}
