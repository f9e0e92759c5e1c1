package runner

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"vpod/guest/agent/internal/mounts"
	"vpod/pkg/agentproto"
)

// listen makes the sockets that stand for some of the host, outside the container's
// root, where no share has to hold them. It returns what is to be bound where.
func (c *Container) listen(list []agentproto.Socket) ([]mounts.Bound, error) {
	if len(list) > agentproto.MaxSockets {
		return nil, failf(agentproto.ErrBadRequest, "%d sockets, at most %d", len(list), agentproto.MaxSockets)
	}
	bound := make([]mounts.Bound, 0, len(list))
	for i, s := range list {
		b := mounts.Bound{Source: filepath.Join(c.dir(), "socket"+strconv.Itoa(i)), Path: s.Path}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.Source, Net: "unix"})
		if err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Path, err)
		}
		c.mu.Lock()
		c.sockets = append(c.sockets, l)
		c.mu.Unlock()
		if err := errors.Join(os.Chown(b.Source, int(s.UID), int(s.GID)), os.Chmod(b.Source, os.FileMode(s.Mode&0o777))); err != nil {
			return nil, fmt.Errorf("socket %s: %w", s.Path, err)
		}
		bound = append(bound, b)
	}
	return bound, nil
}

// Accept waits for the next connection to the container's socket of that number, or
// for the container's end. The caller closes the connection.
func (c *Container) Accept(number int) (*net.UnixConn, error) {
	c.mu.Lock()
	if number < 0 || number >= len(c.sockets) {
		c.mu.Unlock()
		return nil, failf(agentproto.ErrBadRequest, "container %.12s has no socket %d", c.ID, number)
	}
	l := c.sockets[number]
	c.mu.Unlock()
	conn, err := l.AcceptUnix()
	if errors.Is(err, net.ErrClosed) {
		return nil, failf(agentproto.ErrNoContainer, "container %.12s has ended", c.ID)
	}
	return conn, err
}

// closeSockets ends what waits for connections; the files are unlinked with it.
func (c *Container) closeSockets() {
	c.mu.Lock()
	sockets := c.sockets
	c.sockets = nil
	c.mu.Unlock()
	for _, l := range sockets {
		_ = l.Close() // nothing was written
	}
}
