package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"vpod/pkg/agentclient"
	"vpod/pkg/bundle"
	"vpod/pkg/unixsock"
)

// maxSocketConns bounds the connections of a container to one socket of the host.
const maxSocketConns = 32

// carrySockets leads what programs of a container connect to, by its socket of the
// same number, to the sockets of the host that files name, until ctx ends or the
// container does. The guest chooses neither the socket nor anything else: each file is
// the one that was bound, wherever its path leads by now.
func carrySockets(ctx context.Context, agent *agentclient.Client, container string, files []*os.File, log *slog.Logger) {
	for i, f := range files {
		go func() {
			slots := make(chan struct{}, maxSocketConns)
			for {
				slots <- struct{}{}
				st, err := agent.Accept(ctx, container, i)
				if err != nil {
					log.Debug("no more connections to a socket of the host", "socket", f.Name(), "error", err)
					return
				}
				go func() {
					defer func() { <-slots }()
					if err := carryConnection(ctx, st, f); err != nil {
						log.Warn("connect the container to a socket of the host", "socket", f.Name(), "error", err)
					}
				}()
			}
		}()
	}
}

// carryConnection connects st to the socket that f names, until both have ended.
func carryConnection(ctx context.Context, st agentclient.Stream, f *os.File) error {
	defer st.Close()
	conn, err := unixsock.Dial(ctx, fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return err
	}
	defer conn.Close()
	inward := make(chan struct{})
	go func() {
		defer close(inward)
		passOn(st, conn)
	}()
	passOn(conn, st)
	<-inward
	return nil
}

// halfCloser is a connection whose directions end one by one.
type halfCloser interface {
	io.ReadWriter
	CloseWrite() error
}

var _ halfCloser = (*net.UnixConn)(nil)

// passOn carries one direction to its end. A side that takes no more has gone, and
// with it goes the other direction.
func passOn(dst, src halfCloser) {
	_, _ = io.Copy(dst, src)
	_ = dst.CloseWrite()
}

// takeSockets takes sockets of the host out of what is asked; dir gets the empty file
// that lies in their places.
func takeSockets(asked *bundle.Plan, dir ociDir) ([]*os.File, error) {
	placeholder := filepath.Join(dir.files().Data, "socket")
	files, err := asked.Sockets(placeholder)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	return files, os.WriteFile(placeholder, nil, 0o600)
}

// carry has the sockets of the host carried to the container, which has been started,
// as long as this process lives.
func (s *shimRun) carry(ctx context.Context, agent *agentclient.Client) {
	carrySockets(context.WithoutCancel(ctx), agent, agentID(s.id), s.sockets, s.runtime.eng.opts.Log)
}
