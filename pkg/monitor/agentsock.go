package monitor

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentproto"
)

const (
	maxAgentConns = 256      // connections to the agent socket served at once
	proxyChunk    = 32 << 10 // bytes carried at once
	openTimeout   = 10 * time.Second
	lingerTimeout = 2 * time.Second // for what a client has to say after the agent's last word
)

// serveAgent serves the agent socket until its listener is closed: each
// connection is one stream to the agent.
func (s *supervisor) serveAgent(ctx context.Context, l *net.UnixListener) {
	s.accept(l, maxAgentConns, func(conn *net.UnixConn) {
		r := s.current()
		if r == nil {
			refuseStream(conn, "the machine is not running at the moment: it is starting, or between two restarts")
			return
		}
		limited, cancel := context.WithTimeout(ctx, openTimeout)
		st, err := r.session.OpenStream(limited)
		cancel()
		if err != nil {
			s.log.Warn("open agent stream for a client", "error", err)
			refuseStream(conn, err.Error())
			return
		}
		proxy(conn, st)
	}, func(conn *net.UnixConn) {
		refuseStream(conn, "too many streams to this machine are open")
	})
}

// refuseStream answers a request, whatever it is, in the agent's place.
func refuseStream(conn *net.UnixConn, why string) {
	conn.SetDeadline(time.Now().Add(lingerTimeout))
	reply := agentproto.Reply{Error: &agentproto.Error{Code: agentclient.ErrUnavailable, Message: why}}
	if agentproto.WriteFrame(conn, reply) != nil || conn.CloseWrite() != nil {
		return
	}
	// Closing with a request unread would take the answer away from the client.
	_, _ = io.Copy(io.Discard, conn)
}

// proxy carries bytes both ways until both directions have ended, or one side
// has gone. The end of one direction is passed on alone.
func proxy(conn *net.UnixConn, st agentclient.Stream) {
	inward := make(chan struct{})
	go func() {
		defer close(inward)
		if carry(st, conn) {
			st.CloseWrite()
			// The client may have ended its direction, or be gone altogether.
			awaitHangup(conn)
		}
		st.Close()
	}()
	if carry(conn, st) {
		_ = conn.CloseWrite()
	} else {
		conn.Close()
	}
	// The client's last acknowledgement may still be on its way.
	select {
	case <-inward:
	case <-time.After(lingerTimeout):
	}
	conn.Close()
	<-inward
}

// carry copies src to dst and reports whether it came to src's end.
func carry(dst io.Writer, src io.Reader) bool {
	buf := make([]byte, proxyChunk)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, err := dst.Write(buf[:n]); err != nil {
				return false
			}
		}
		if err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// awaitHangup waits until the peer has closed the connection altogether, after
// it has ended its direction, or it is closed here.
func awaitHangup(conn *net.UnixConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		return err != nil || n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
}
