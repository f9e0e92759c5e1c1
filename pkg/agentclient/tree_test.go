package agentclient

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

var treeID = strings.Repeat("0123456789abcdef", 4)

// treeClient is a client of an agent that serves files as serve does.
func treeClient(t *testing.T, serve func(st *yamux.Stream)) *Client {
	t.Helper()
	agent := &agenttest.Agent{Intercept: func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op != agentproto.OpTree {
			return false
		}
		agenttest.Reply(st, struct{}{}, nil)
		serve(st)
		return true
	}}
	host, guest := net.Pipe()
	go func() { _ = agent.Serve(guest) }()
	s, err := NewSession(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return New(s)
}

func TestTree(t *testing.T) {
	long := strings.Repeat("x", 3<<20) // more than a window
	for _, tt := range []struct {
		name  string
		serve func(w agentproto.ChunkWriter, st *yamux.Stream)
		got   string
		check func(error) bool
	}{
		{"whole", func(w agentproto.ChunkWriter, _ *yamux.Stream) {
			_, _ = io.WriteString(w, long)
			_ = w.End(nil)
		}, long, func(err error) bool { return err == nil }},
		{"given up", func(w agentproto.ChunkWriter, _ *yamux.Stream) {
			_, _ = io.WriteString(w, "x")
			_ = w.End(&agentproto.Error{Code: agentproto.ErrInternal, Message: "a\x1bb"})
		}, "x", func(err error) bool {
			var e *agentproto.Error
			return errors.As(err, &e) && !strings.Contains(e.Message, "\x1b")
		}},
		{"broken off", func(w agentproto.ChunkWriter, _ *yamux.Stream) { _, _ = io.WriteString(w, "x") }, "x",
			func(err error) bool { return errors.Is(err, ErrClosed) }},
		{"nonsense", func(_ agentproto.ChunkWriter, st *yamux.Stream) { _, _ = io.WriteString(st, "nonsense") }, "",
			func(err error) bool { return errors.Is(err, ErrProtocol) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := treeClient(t, func(st *yamux.Stream) { tt.serve(agentproto.ChunkWriter{W: st}, st) })
			tree, err := c.Tree(t.Context(), treeID, agentproto.TreeRequest{Kind: agentproto.TreeMerged})
			if err != nil {
				t.Fatal(err)
			}
			defer tree.Close()
			got, err := io.ReadAll(tree)
			if string(got) != tt.got || !tt.check(err) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestTreeEndsWithItsContext(t *testing.T) {
	c := treeClient(t, func(st *yamux.Stream) { _, _ = st.Read(make([]byte, 1)) })
	ctx, cancel := context.WithCancelCause(t.Context())
	tree, err := c.Tree(ctx, treeID, agentproto.TreeRequest{Kind: agentproto.TreeMerged})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	why := errors.New("no time")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := tree.Read(make([]byte, 1)); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}
