package bundle

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// Sockets takes the sockets of the host out of the binds, for a file share carries
// none. The guest gets some of its own in their places (agentproto.Container.Sockets);
// what connects to one of them is for the caller to lead to the file of the same
// number, which only names the socket (O_PATH) and is the caller's to close. Where a
// bind would have been in the host's file system, the empty file placeholder is bound.
func (p *Plan) Sockets(placeholder string) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	take := func(b Bind) (bool, error) {
		if b.Overlay != "" {
			return false, nil
		}
		fd, err := unix.Open(b.Source, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return false, nil //nolint:nilerr // whoever binds it says so
		}
		f := os.NewFile(uintptr(fd), b.Source)
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
			f.Close()
			return false, err
		}
		if len(files) == agentproto.MaxSockets {
			f.Close()
			return false, fmt.Errorf("mount %s: a machine stands for up to %d sockets of the host", b.Destination, agentproto.MaxSockets)
		}
		files = append(files, f)
		p.Guest.Sockets = append(p.Guest.Sockets, agentproto.Socket{Path: b.Destination, Mode: st.Mode & 0o777, UID: st.Uid, GID: st.Gid})
		return true, nil
	}
	for i, b := range p.Binds {
		taken, err := take(b)
		if err != nil {
			return files, err
		}
		if taken {
			p.Binds[i].Source = placeholder
		}
	}
	for i := 0; i < len(p.Hidden); i++ {
		taken, err := take(p.Hidden[i])
		if err != nil {
			return files, err
		}
		if taken {
			p.Hidden = slices.Delete(p.Hidden, i, i+1)
			i--
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
