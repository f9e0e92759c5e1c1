package monitor

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/logs"
	"vpod/pkg/unixsock"
)

// dialRaw connects to a socket by hand.
func dialRaw(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := unixsock.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// attachRaw attaches by hand: a client that reads only when told to.
func attachRaw(t *testing.T, path string, hello Hello) (*net.UnixConn, *bufio.Reader) {
	t.Helper()
	conn := dialRaw(t, path)
	hello.Version, hello.Op, hello.Container = LaunchVersion, OpAttach, testID
	line, err := json.Marshal(hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(append(line, '\n')); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	var reply HelloReply
	if err := readLine(r, &reply); err != nil || reply.Error != "" {
		t.Fatalf("attach: %v %q", err, reply.Error)
	}
	return conn, r
}

func TestAttachedClientsMissNothing(t *testing.T) {
	const size = 3 << 20
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		var wg sync.WaitGroup
		for _, o := range []*agenttest.Output{p.Stdout, p.Stderr} {
			wg.Go(func() { o.WriteString(strings.Repeat("0123456789abcde\n", size/16)) })
		}
		wg.Wait()
		return agentproto.ExitStatus{Code: 2}
	})
	h.start()
	h.expect(ReportReady)
	var clients []*attached
	for range 3 {
		clients = append(clients, h.attach(Streams{}))
	}
	_, errOnly := attachRaw(t, h.files.AttachSocket(), Hello{Stderr: true})
	h.goAhead()
	for _, a := range clients {
		if a.wait(t); a.failed != nil || a.exit.ExitCode != 2 || len(a.out.String()) != size || len(a.err.String()) != size {
			t.Errorf("client got %d and %d bytes, %+v, %v", len(a.out.String()), len(a.err.String()), a.exit, a.failed)
		}
	}
	n := 0
	for {
		kind, payload, err := ReadFrame(errOnly, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kind == FrameExit {
			break
		}
		if kind != FrameStderr {
			t.Fatalf("a client that wants stderr got %q", kind)
		}
		n += len(payload)
	}
	if n != size {
		t.Errorf("it got %d bytes", n)
	}
	h.wait()
	if out, errOut := h.log(); len(out) != size || len(errOut) != size {
		t.Errorf("log holds %d and %d bytes", len(out), len(errOut))
	}
}

// TestSlowClient checks that a client that does not read holds up nothing, and
// still gets everything.
func TestSlowClient(t *testing.T) {
	const size = 12 << 20 // more than its queue holds in memory
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		p.Stdout.WriteString(strings.Repeat("0123456789abcde\n", size/16))
		return agentproto.ExitStatus{Code: 9}
	})
	h.start()
	h.expect(ReportReady)
	slow, r := attachRaw(t, h.files.AttachSocket(), Hello{Stdout: true})
	quick := h.attach(Streams{})
	h.goAhead()
	if quick.wait(t); len(quick.out.String()) != size {
		t.Errorf("the quick client got %d bytes", len(quick.out.String()))
	}
	// The container is over and done with, although the slow client has read nothing.
	if _, err := os.Stat(h.files.Exit()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(h.files.Data + "/.spill*"); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	n := 0
	for {
		kind, payload, err := ReadFrame(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if kind == FrameExit {
			break
		}
		n += len(payload)
	}
	if n != size {
		t.Errorf("the slow client got %d bytes", n)
	}
	slow.Close()
	h.wait()
}

func TestDeadClients(t *testing.T) {
	more := make(chan struct{})
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		<-more
		p.Stdout.WriteString(strings.Repeat("x", 2<<20))
		return agentproto.ExitStatus{}
	})
	h.start()
	h.expect(ReportReady)
	for range 10 {
		conn, _ := attachRaw(t, h.files.AttachSocket(), Hello{Stdout: true, Stdin: true})
		defer conn.Close()
		if rand.IntN(2) == 0 {
			conn.Close()
		} else {
			go func() { <-more; conn.Close() }()
		}
	}
	h.goAhead()
	close(more)
	if x := h.wait(); x.ExitCode != 0 {
		t.Errorf("exit record %+v", x)
	}
	if out, _ := h.log(); len(out) != 2<<20 {
		t.Errorf("log holds %d bytes", len(out))
	}
}

func TestStdinIsByteExact(t *testing.T) {
	const size = 16 << 20
	in := make([]byte, size)
	rand.NewChaCha8([32]byte{3}).Read(in)
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		sum := md5.New()
		io.Copy(io.MultiWriter(sum, p.Stdout), p.Stdin)
		p.Stderr.Write(sum.Sum(nil))
		return agentproto.ExitStatus{}
	})
	h.start()
	h.expect(ReportReady)
	a := h.attach(Streams{Stdin: bytes.NewReader(in)})
	h.goAhead()
	a.wait(t)
	want := md5.Sum(in)
	if a.err.String() != string(want[:]) || a.out.String() != string(in) {
		t.Errorf("%d bytes came back, or they differ", len(a.out.String()))
	}
	h.wait()
}

func TestStdinOfSeveralClients(t *testing.T) {
	got := make(chan string, 10)
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		r := bufio.NewReader(p.Stdin)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return agentproto.ExitStatus{}
			}
			got <- line
		}
	})
	h.run()
	path := h.files.AttachSocket()
	first, _ := attachRaw(t, path, Hello{Stdin: true})
	second, _ := attachRaw(t, path, Hello{Stdin: true})
	send := func(c *net.UnixConn, kind FrameKind, text string) {
		t.Helper()
		if err := WriteFrame(c, kind, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	send(first, FrameStdin, "one\n")
	if s := <-got; s != "one\n" {
		t.Errorf("got %q", s)
	}
	// The end of one client's input is not the end while another is attached,
	// and a client that goes away ends nothing.
	send(second, FrameStdinEOF, "")
	send(first, FrameStdin, "two\n")
	if s := <-got; s != "two\n" {
		t.Errorf("got %q", s)
	}
	first.Close()
	eventually(t, "the first client's departure", func() bool { return len(h.sup.streams.attached()) == 1 })
	third, _ := attachRaw(t, path, Hello{Stdin: true})
	send(third, FrameStdin, "three\n")
	if s := <-got; s != "three\n" {
		t.Errorf("got %q", s)
	}
	send(third, FrameStdinEOF, "")
	h.wait()
}

// TestManyClients checks that a container that takes no more clients can still
// be killed and stopped.
func TestManyClients(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.run()
	for range maxAttached {
		attachRaw(t, h.files.AttachSocket(), Hello{})
	}
	var refused *RefusedError
	if _, err := Attach(t.Context(), h.files.AttachSocket(), testID, Streams{}); !errors.As(err, &refused) {
		t.Errorf("one more client: %v, want a refusal", err)
	}
	if err := Kill(t.Context(), h.files.AttachSocket(), testID, 0, false); !errors.As(err, &refused) || strings.Contains(err.Error(), "clients") {
		t.Errorf("Kill = %v, want a refusal of signal 0 for its own sake", err)
	}
	if err := Stop(t.Context(), h.files.AttachSocket(), testID, StopOptions{}); err != nil {
		t.Errorf("Stop = %v", err)
	}
	h.wait()
}

// TestUnreadStdin checks that signals pass a process that does not read its input.
func TestUnreadStdin(t *testing.T) {
	h := newHarness(t, untilSignal)
	h.run()
	endless, w := io.Pipe()
	defer w.Close()
	go func() {
		for {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				return
			}
		}
	}()
	defer endless.Close()
	signals := make(chan os.Signal)
	a := h.attach(Streams{Stdin: endless, Signals: signals})
	time.Sleep(50 * time.Millisecond) // lets the input pile up; without it the test still passes
	signals <- syscall.SIGINT
	if a.wait(t); a.exit.ExitCode != 128+2 || a.failed != nil {
		t.Errorf("client got %+v, %v", a.exit, a.failed)
	}
	h.wait()
}

func TestDetach(t *testing.T) {
	got := make(chan string, 1)
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		b := make([]byte, 3)
		io.ReadFull(p.Stdin, b)
		got <- string(b)
		return untilSignal(p)
	})
	h.run()
	typed, w := io.Pipe()
	a := h.attach(Streams{Stdin: typed, DetachKeys: []byte{16, 17}})
	w.Write([]byte("abc\x10"))
	w.Write([]byte("\x11"))
	if a.wait(t); !errors.Is(a.failed, ErrDetached) {
		t.Errorf("Attach = %v, want ErrDetached", a.failed)
	}
	if s := <-got; s != "abc" {
		t.Errorf("the process got %q", s)
	}
	b := h.attach(Streams{})
	if err := Kill(t.Context(), h.files.AttachSocket(), testID, 15, true); err != nil {
		t.Error(err)
	}
	if b.wait(t); b.exit.ExitCode != 128+15 {
		t.Errorf("a second client got %+v", b.exit)
	}
	h.wait()
}

// TestTerminal checks sizes: one asked for before the process runs reaches it,
// and later ones do.
func TestTerminal(t *testing.T) {
	sizes := make(chan agentproto.ResizeRequest, 10)
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		for {
			select {
			case s := <-p.Sizes:
				sizes <- s
			case sig := <-p.Signals:
				return agentproto.ExitStatus{Code: 128 + sig}
			}
		}
	})
	h.ctr().Process.OCI.Terminal = true
	h.start()
	h.expect(ReportReady)
	resize := make(chan agentproto.ResizeRequest)
	signals := make(chan os.Signal)
	a := h.attach(Streams{Resize: resize, Signals: signals})
	resize <- agentproto.ResizeRequest{Rows: 10, Cols: 20}
	eventually(t, "the size", func() bool { return h.sup.streams.lastSize() != nil })
	h.goAhead()
	if s := <-sizes; s.Rows != 10 || s.Cols != 20 {
		t.Errorf("size %+v", s)
	}
	resize <- agentproto.ResizeRequest{Rows: 30, Cols: 40}
	if s := <-sizes; s.Rows != 30 || s.Cols != 40 {
		t.Errorf("size %+v", s)
	}
	signals <- syscall.SIGTERM
	a.wait(t)
	if x := h.wait(); x.ExitCode != 128+15 {
		t.Errorf("exit record %+v", x)
	}
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		name     string
		client   func(t *testing.T, h *harness) (after func())
		released bool
	}{
		{"nobody attached", func(*testing.T, *harness) func() { return func() {} }, true},
		{"a client without a promise", func(t *testing.T, h *harness) func() {
			a := h.attach(Streams{})
			return func() { a.wait(t) }
		}, true},
		{"a client that keeps its promise", func(t *testing.T, h *harness) func() {
			a := h.attach(Streams{Removes: true})
			return func() { a.wait(t) }
		}, false},
		{"a client that goes away before", func(t *testing.T, h *harness) func() {
			conn, _ := attachRaw(t, h.files.AttachSocket(), Hello{Stdout: true, Removes: true})
			conn.Close()
			return func() {}
		}, true},
		{"a client killed before it has read the end", func(t *testing.T, h *harness) func() {
			conn, _ := attachRaw(t, h.files.AttachSocket(), Hello{Stdout: true, Removes: true})
			return func() {
				eventually(t, "the exit record", func() bool { _, err := os.Stat(h.files.Exit()); return err == nil })
				conn.Close()
			}
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
				p.Stdout.WriteString("output\n")
				return agentproto.ExitStatus{}
			})
			released := filepath.Join(h.files.Data, "released")
			h.ctr().AutoRemove = true
			h.launch.ReleaseCommand = []string{"/bin/touch", released}
			h.start()
			h.expect(ReportReady)
			after := tt.client(t, h)
			h.goAhead()
			after()
			h.wait()
			if tt.released {
				eventually(t, "the release command", func() bool { _, err := os.Stat(released); return err == nil })
				return
			}
			b, _ := os.ReadFile(h.files.MonitorLog())
			if _, err := os.Stat(released); err == nil || strings.Contains(string(b), "remove container") {
				t.Error("the container was released twice")
			}
		})
	}
}

func TestAgentSocket(t *testing.T) {
	h := newHarness(t, func(p *agenttest.Process) agentproto.ExitStatus {
		if p.ID == agentproto.InitProcess {
			return untilSignal(p)
		}
		n, _ := io.Copy(p.Stdout, p.Stdin)
		return agentproto.ExitStatus{Code: int(n % 251)}
	})
	h.run()
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			c := agentclient.New(agentclient.Dial(h.files.AgentSocket()))
			id := string(rune('a' + i))
			if _, err := c.Start(t.Context(), testID, id, agentproto.StartRequest{}); err != nil {
				t.Error(err)
				return
			}
			in, err := c.Input(t.Context(), testID, id)
			if err != nil {
				t.Error(err)
				return
			}
			defer in.Close()
			out, err := c.Output(t.Context(), testID, id, 1, 0)
			if err != nil {
				t.Error(err)
				return
			}
			sent := make([]byte, 2<<20)
			rand.NewChaCha8([32]byte{byte(i)}).Read(sent)
			go func() {
				if _, err := in.Write(sent); err != nil {
					t.Error(err)
				}
				if err := in.CloseWrite(); err != nil {
					t.Error(err)
				}
			}()
			var got bytes.Buffer
			buf := make([]byte, 64<<10)
			for {
				n, err := out.Read(buf)
				got.Write(buf[:n])
				if errors.Is(err, io.EOF) {
					break
				}
				if err == nil {
					err = out.Ack()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			out.Finish()
			st, err := c.Wait(t.Context(), testID, id)
			if err != nil || st.Code != len(sent)%251 || !bytes.Equal(got.Bytes(), sent) {
				t.Errorf("exec %s: %+v, %v, %d bytes", id, st, err, got.Len())
			}
		})
	}
	wg.Wait()

	// A client killed in the middle of a wait leaves no stream behind.
	c := agentclient.New(agentclient.Dial(h.files.AgentSocket()))
	lost := make(chan error)
	waits := func() (n int) {
		for _, op := range h.agent.Ops() {
			if op == agentproto.OpWait {
				n++
			}
		}
		return n
	}
	before := waits()
	go func() {
		_, err := c.Wait(t.Context(), testID, agentproto.InitProcess)
		lost <- err
	}()
	eventually(t, "the wait reaches the agent", func() bool { return waits() > before })
	conn := dialRaw(t, h.files.AgentSocket())
	agentproto.WriteFrame(conn, agentproto.Request{Op: agentproto.OpWait, Container: testID, Process: agentproto.InitProcess})
	conn.CloseWrite()
	conn.Close()

	Kill(t.Context(), h.files.AttachSocket(), testID, 15, true)
	if err := <-lost; err != nil && !errors.Is(err, agentclient.ErrClosed) {
		t.Errorf("Wait = %v", err)
	}
	h.wait()
}

// BenchmarkOutput measures output on its way to the log and two clients.
func BenchmarkOutput(b *testing.B) {
	w, err := logs.Open(logs.Options{Path: filepath.Join(b.TempDir(), "log"), MaxSizeBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	s := newStreams(w, b.TempDir(), false, nil)
	for range 2 {
		c := &client{hello: Hello{Stdout: true}, queue: newQueue(b.TempDir())}
		s.add(c)
		go func() {
			for buf := make([]byte, clientChunk); c.queue.take(buf) > 0; {
			}
		}()
		defer c.queue.abandon()
	}
	chunk := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), outputChunk/80)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		s.output(logs.Stdout, chunk)
	}
}
