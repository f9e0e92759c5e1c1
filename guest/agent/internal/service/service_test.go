package service

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"vpod/guest/agent/internal/runner"
	"vpod/guest/agent/internal/stopwatch"
	"vpod/pkg/agentproto"
)

// The runner collects every child of the process: the tests share one.
var shared *runner.Runner

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "vpod-agent-")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		shared, _ = runner.New(dir, func(string, ...any) {}) // nil: newServer skips
		return m.Run()
	}())
}

// testConn is a session's channel over a socket.
type testConn struct{ net.Conn }

func (testConn) Broken() bool { return false }

// session returns the host's end of a session with a server.
func session(t *testing.T, s *Server) *yamux.Session {
	t.Helper()
	a, b := net.Pipe()
	go func() { _ = s.Serve(testConn{b}) }()
	c := config()
	host, err := yamux.Client(a, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = host.Close() })
	return host
}

func newServer(t *testing.T) *Server {
	t.Helper()
	if shared == nil {
		t.Skip("needs /proc and /dev/pts")
	}
	return New(shared, stopwatch.Start(true), t.Logf)
}

// call sends one request and returns its reply.
func call(t *testing.T, host *yamux.Session, req any) agentproto.Reply {
	t.Helper()
	st, err := host.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if err := agentproto.WriteFrame(st, req); err != nil {
		t.Fatal(err)
	}
	var r agentproto.Reply
	_ = st.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := agentproto.ReadFrame(st, agentproto.MaxReply, &r); err != nil {
		t.Fatalf("reply to %+v: %v", req, err)
	}
	return r
}

func body(v any) json.RawMessage {
	b, _ := json.Marshal(v)
	return b
}

var id = strings.Repeat("0123456789abcdef", 4)

func TestRequests(t *testing.T) {
	host := session(t, newServer(t))
	type request = agentproto.Request
	for _, tt := range []struct {
		name string
		req  any
		want agentproto.ErrorCode
	}{
		{"hello", request{Op: agentproto.OpHello, Body: body(agentproto.HelloRequest{MinVersion: 1, MaxVersion: 9})}, ""},
		{"no common version", request{Op: agentproto.OpHello, Body: body(agentproto.HelloRequest{MinVersion: 8, MaxVersion: 9})}, agentproto.ErrVersion},
		{"hello without body", request{Op: agentproto.OpHello}, agentproto.ErrBadRequest},
		{"unknown operation", request{Op: "dance"}, agentproto.ErrBadRequest},
		{"no operation", request{}, agentproto.ErrBadRequest},
		{"not an object", []int{1}, agentproto.ErrBadRequest},
		{"short container id", request{Op: agentproto.OpList, Container: "abc"}, agentproto.ErrBadRequest},
		{"container id upwards", request{Op: agentproto.OpList, Container: "../" + id[:61]}, agentproto.ErrBadRequest},
		{"process id with a slash", request{Op: agentproto.OpWait, Container: id, Process: "a/b"}, agentproto.ErrBadRequest},
		{"no process id", request{Op: agentproto.OpWait, Container: id}, agentproto.ErrBadRequest},
		{"unknown container", request{Op: agentproto.OpWait, Container: id, Process: "init"}, agentproto.ErrNoContainer},
		{"output of none", request{Op: agentproto.OpOutput, Container: id, Process: "init", Body: body(agentproto.BulkRequest{FD: 1})}, agentproto.ErrNoContainer},
		{"files of none", request{Op: agentproto.OpTree, Container: id, Body: body(agentproto.TreeRequest{Kind: agentproto.TreeMerged})}, agentproto.ErrNoContainer},
		{"files without saying which", request{Op: agentproto.OpTree, Container: id}, agentproto.ErrBadRequest},
		{"files of a disk that is not there", request{Op: agentproto.OpTree, Container: id, Body: body(agentproto.TreeRequest{Rootfs: &agentproto.Rootfs{}})}, agentproto.ErrSetup},
		{"a connection to none", request{Op: agentproto.OpAccept, Container: id, Body: body(agentproto.AcceptRequest{})}, agentproto.ErrNoContainer},
		{"a connection without saying which", request{Op: agentproto.OpAccept, Container: id}, agentproto.ErrBadRequest},
		{"start with nonsense", request{Op: agentproto.OpStart, Container: id, Process: "init", Body: json.RawMessage(`{"process":1}`)}, agentproto.ErrBadRequest},
		{"exec in none", request{Op: agentproto.OpStart, Container: id, Process: "e", Body: body(agentproto.StartRequest{})}, agentproto.ErrNoContainer},
		{"first process of another name", request{Op: agentproto.OpStart, Container: id, Process: "e", Body: body(agentproto.StartRequest{Container: &agentproto.Container{}})}, agentproto.ErrBadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := call(t, host, tt.req)
			var got agentproto.ErrorCode
			if r.Error != nil {
				got = r.Error.Code
			}
			if got != tt.want {
				t.Errorf("reply %+v, want code %q", r.Error, tt.want)
			}
			if r.Error != nil && (r.Error.Message == "" || strings.ContainsAny(r.Error.Message, "\n")) {
				t.Errorf("message %q is not one line", r.Error.Message)
			}
		})
	}
}

func TestHello(t *testing.T) {
	s := newServer(t)
	for generation := uint64(1); generation <= 3; generation++ {
		r := call(t, session(t, s), agentproto.Request{Op: agentproto.OpHello, Body: body(agentproto.HelloRequest{MinVersion: 0, MaxVersion: 99})})
		var h agentproto.HelloReply
		if err := json.Unmarshal(r.Body, &h); err != nil {
			t.Fatal(err)
		}
		if h.Version != agentproto.Version || h.Generation != generation || h.Kernel == "" || h.MemoryBytes == 0 || h.CPUs == 0 {
			t.Errorf("hello = %+v, want generation %d", h, generation)
		}
		if told := len(h.Boot) > 0; told != (generation == 1) {
			t.Errorf("hello of generation %d says of the boot: %+v", generation, h.Boot)
		}
	}
}

// TestBrokenRequests sends what is no request; the session goes on.
func TestBrokenRequests(t *testing.T) {
	host := session(t, newServer(t))
	for _, tt := range []struct {
		name, in string
		replies  bool
	}{
		{"nothing", "", false},
		{"half a length", "\x00\x00", true},
		{"half a message", "\x00\x00\x00\x09{\"op\"", true},
		{"too long", "\xff\xff\xff\xff", true},
		{"not JSON", "\x00\x00\x00\x03abc", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, err := host.OpenStream()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(st, tt.in)
			_ = st.Close()
			var r agentproto.Reply
			_ = st.SetReadDeadline(time.Now().Add(10 * time.Second))
			err = agentproto.ReadFrame(st, agentproto.MaxReply, &r)
			if tt.replies && (err != nil || r.Error == nil || r.Error.Code != agentproto.ErrBadRequest) {
				t.Errorf("reply %+v, %v; want a refusal", r.Error, err)
			}
			if !tt.replies && !errors.Is(err, io.EOF) {
				t.Errorf("reply %+v, %v; want none", r, err)
			}
		})
	}
	if r := call(t, host, agentproto.Request{Op: "still there?"}); r.Error == nil {
		t.Error("no answer afterwards")
	}
}

// TestPanicIsAnswered wants a crash of one request to be the request's alone.
func TestPanicIsAnswered(t *testing.T) {
	host := session(t, New(nil, nil, t.Logf)) // without a runner every look-up panics
	r := call(t, host, agentproto.Request{Op: agentproto.OpList, Container: id})
	if r.Error == nil || r.Error.Code != agentproto.ErrInternal {
		t.Errorf("reply %+v, want an internal error", r.Error)
	}
	if r := call(t, host, agentproto.Request{Op: "next"}); r.Error == nil || r.Error.Code != agentproto.ErrBadRequest {
		t.Errorf("reply %+v afterwards", r.Error)
	}
}

func TestReplyIsBounded(t *testing.T) {
	var b strings.Builder
	if err := reply(&b, strings.Repeat("x", agentproto.MaxReply), nil); err != nil {
		t.Fatal(err)
	}
	var r agentproto.Reply
	if err := agentproto.ReadFrame(strings.NewReader(b.String()), agentproto.MaxReply, &r); err != nil || r.Error == nil {
		t.Errorf("reply %+v, %v; want an error", r.Error, err)
	}
	if got := oneLine(strings.Repeat("é\n", maxMessage)); len(got) > maxMessage+8 || strings.Contains(got, "\n") {
		t.Errorf("oneLine left %d bytes", len(got))
	}
}

// FuzzStart decodes start requests as a host might send them, valid or not.
func FuzzStart(f *testing.F) {
	f.Add([]byte(`{"container":{"rootfs":{"share":"x"},"oci":{"linux":{"namespaces":[{"type":"user"}]}}},"process":{"oci":{"args":["x"]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s agentproto.StartRequest
		req := &agentproto.Request{Op: agentproto.OpStart, Container: id, Process: "init", Body: b}
		_ = check(req)
		_ = decode(req, &s)
	})
}
