package agentclient_test

import (
	"net"
	"os"
	"testing"
)

// fileConn makes a connection of a socket's descriptor.
func fileConn(t testing.TB, fd int) net.Conn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}
