package service

import (
	"io"
	"net"

	"vpod/pkg/agentproto"
)

// accept answers with a connection to one of the container's sockets. A host that has
// gone meanwhile leaves whoever connects with a closed connection.
func (s *Server) accept(st bulkStream, req *agentproto.Request) {
	var b agentproto.AcceptRequest
	if err := decode(req, &b); err != nil {
		_ = reply(st, nil, err)
		return
	}
	c, err := s.runner.Container(req.Container)
	if err != nil {
		_ = reply(st, nil, err)
		return
	}
	conn, err := c.Accept(b.Socket)
	if err != nil {
		_ = reply(st, nil, err)
		return
	}
	defer conn.Close()
	if reply(st, struct{}{}, nil) != nil {
		return
	}
	inward := make(chan struct{})
	go func() {
		defer close(inward)
		fromHost(conn, st)
	}()
	_, _ = io.Copy(st, conn) // whichever side has gone, the rest is to end
	_ = st.Close()           // of this direction
	<-inward
}

// fromHost passes on what the host's side of a connection says, to its end. What the
// program does not read any more is thrown away, or it would hold up the host.
func fromHost(conn *net.UnixConn, st bulkStream) {
	buf := make([]byte, 32<<10)
	for read := true; ; {
		n, err := st.Read(buf)
		if st.Broken() {
			_ = conn.Close() // what came last may be of a frame that was cut short
			return
		}
		if n > 0 && read {
			_, err := conn.Write(buf[:n])
			read = err == nil
		}
		if err != nil {
			_ = conn.CloseWrite()
			return
		}
	}
}
