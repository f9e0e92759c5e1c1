package agentclient_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"golang.org/x/sys/unix"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
	"vpod/pkg/unixsock"
)

const testID = "0123456789abcdef"

// pair returns the two ends of a machine's channel.
func pair(t testing.TB) (host, guest net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		conns[i] = fileConn(t, fd)
	}
	return conns[0], conns[1]
}

// open starts an agent and opens a session with it.
func open(t testing.TB, a *agenttest.Agent) *agentclient.Session {
	t.Helper()
	host, guest := pair(t)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = a.Serve(guest)
	}()
	s, err := agentclient.NewSession(deadline(t), host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		guest.Close()
		<-served
	})
	return s
}

// deadline is a context that ends before the test would be given up.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// echo copies its input to its output and says so at the end.
func echo(p *agenttest.Process) agentproto.ExitStatus {
	n, _ := io.Copy(p.Stdout, p.Stdin)
	p.Stderr.WriteString("done")
	return agentproto.ExitStatus{Code: int(n & 0x7f)}
}

func start(t testing.TB, c *agentclient.Client) {
	t.Helper()
	_, err := c.Start(deadline(t), testID, agentproto.InitProcess, agentproto.StartRequest{Process: agentproto.Process{Stdin: true}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSessionHello(t *testing.T) {
	s := open(t, &agenttest.Agent{})
	if h := s.Hello(); h.Kernel != "6.12-test" || h.Generation != 1 || h.Version != agentproto.Version {
		t.Errorf("Hello = %+v", h)
	}
	if s.Err() != nil {
		t.Errorf("Err = %v while the session lives", s.Err())
	}
	s.Close()
	if !errors.Is(s.Err(), agentclient.ErrClosed) {
		t.Errorf("Err = %v after Close", s.Err())
	}
	if err := agentclient.New(s).Signal(deadline(t), testID, "x", agentproto.SignalRequest{Signal: 1}); !errors.Is(err, agentclient.ErrClosed) {
		t.Errorf("Signal after Close = %v, want ErrClosed", err)
	}
}

func TestClockTime(t *testing.T) {
	ago := agentclient.Clock{GuestNanos: 7, Host: time.Now().Add(-time.Hour)}
	for _, tt := range []struct {
		name  string
		clock agentclient.Clock
		age   time.Duration
		guest int64
	}{
		{"known", ago, time.Hour, 7},
		{"unknown", agentclient.Clock{}, 0, 0},
		{"not told by the guest", agentclient.Clock{Host: ago.Host}, 0, 0},
	} {
		unixNano, guest := tt.clock.Time()
		if age := time.Since(time.Unix(0, unixNano)); (age-tt.age).Abs() > time.Minute || guest != tt.guest {
			t.Errorf("%s: the guest's clock was %d %s ago, want %d %s ago", tt.name, guest, age, tt.guest, tt.age)
		}
	}
}

func TestClock(t *testing.T) {
	began := time.Now()
	asked := 0
	s := open(t, &agenttest.Agent{ClockNanos: func() int64 {
		if asked++; asked < 4 {
			time.Sleep(40 * time.Millisecond) // the first answers are slow
		}
		return 1_000_000_000_000 + time.Since(began).Nanoseconds()
	}})
	near := func(c agentclient.Clock, limit time.Duration) bool {
		off := time.Duration(c.GuestNanos-1_000_000_000_000) - c.Host.Sub(began)
		return off.Abs() <= c.Error+time.Millisecond && c.Error <= limit
	}
	if c := s.Clock(); !near(c, time.Minute) || c.Error < 20*time.Millisecond {
		t.Errorf("by the hello %+v", c)
	}
	c, err := s.MeasureClock(deadline(t), 19*time.Millisecond)
	if err != nil || !near(c, 19*time.Millisecond) {
		t.Errorf("measured %+v, %v", c, err)
	}
	if c, err = s.MeasureClock(deadline(t), 0); err != nil || !near(c, 19*time.Millisecond) {
		t.Errorf("measured as well as can be %+v, %v", c, err)
	}
	if asked < 14 || asked > 16 {
		t.Errorf("the agent was asked %d times, want four times until it was quick, and then ten", asked)
	}
	s.Close()
	if _, err := s.MeasureClock(deadline(t), 0); !errors.Is(err, agentclient.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

func TestBulkIsByteExact(t *testing.T) {
	const size = 16 << 20
	a := &agenttest.Agent{Main: echo}
	c := agentclient.New(open(t, a))
	start(t, c)
	in, err := c.Input(deadline(t), testID, agentproto.InitProcess)
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Output(deadline(t), testID, agentproto.InitProcess, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(sent)
	go func() {
		for b := sent; len(b) > 0; {
			n := min(len(b), 1+rand.IntN(100_000))
			if _, err := in.Write(b[:n]); err != nil {
				t.Errorf("Write: %v", err)
				return
			}
			b = b[n:]
		}
		if err := in.CloseWrite(); err != nil {
			t.Errorf("CloseWrite: %v", err)
		}
	}()
	buf := make([]byte, 64<<10)
	at := 0
	for {
		n, err := out.Read(buf)
		if !bytes.Equal(buf[:n], sent[at:at+n]) {
			t.Fatalf("bytes differ after %d", at)
		}
		at += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = out.Ack()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Finish(); err != nil || at != size || out.Offset() != size {
		t.Errorf("Finish = %v after %d bytes, offset %d, want %d", err, at, out.Offset(), size)
	}
	st, err := c.Wait(deadline(t), testID, agentproto.InitProcess)
	if err != nil || st.Code != 0 {
		t.Errorf("Wait = %+v, %v", st, err)
	}
}

// TestOutputAcks checks when output is acknowledged: a lot at once, a little
// when the source pauses, and never what Ack was not called for.
func TestOutputAcks(t *testing.T) {
	proceed := make(chan struct{})
	var p *agenttest.Process
	started := make(chan struct{})
	a := &agenttest.Agent{Main: func(proc *agenttest.Process) agentproto.ExitStatus {
		p = proc
		close(started)
		p.Stdout.WriteString("hello")
		<-proceed
		p.Stdout.WriteString(" world")
		return agentproto.ExitStatus{}
	}}
	c := agentclient.New(open(t, a))
	start(t, c)
	out, err := c.Output(deadline(t), testID, agentproto.InitProcess, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := out.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Fatalf("Read = %q, %v", buf[:n], err)
	}
	<-started
	if err := out.Ack(); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() { // blocks, and acknowledges while it does
		n, _ := out.Read(buf)
		read <- string(buf[:n])
	}()
	p.Stdout.AwaitAcknowledged(5)
	close(proceed)
	if got := <-read; got != " world" {
		t.Errorf("Read = %q", got)
	}
	out.Close()
	if n := p.Stdout.Acknowledged(); n != 5 {
		t.Errorf("%d bytes are acknowledged, want 5", n)
	}
	// What was not acknowledged comes again.
	out, err = c.Output(deadline(t), testID, agentproto.InitProcess, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out)
	if err != nil || string(b) != " world" {
		t.Errorf("again: %q, %v", b, err)
	}
	if _, err := c.Output(deadline(t), testID, agentproto.InitProcess, 1, 3); err == nil {
		t.Error("an offset let go of was accepted")
	}
}

func TestInputResumes(t *testing.T) {
	want := make([]byte, 3<<20)
	rng := rand.NewChaCha8([32]byte{2})
	rng.Read(want)
	got := make(chan []byte, 1)
	a := &agenttest.Agent{Main: func(p *agenttest.Process) agentproto.ExitStatus {
		b, _ := io.ReadAll(p.Stdin)
		got <- b
		return agentproto.ExitStatus{}
	}}
	s := open(t, a)
	c := agentclient.New(s)
	start(t, c)
	in, err := c.Input(deadline(t), testID, agentproto.InitProcess)
	if err != nil {
		t.Fatal(err)
	}
	rest := want
	for i := 0; len(rest) > 0; i++ {
		n := min(len(rest), 200_000)
		wrote, err := in.Write(rest[:n])
		rest = rest[wrote:]
		if i%4 == 3 {
			s.Close() // with bytes on their way
			s = open(t, a)
		} else if err == nil {
			continue
		}
		// What a failed Write took in part is kept by Input: only what it counted is gone.
		if err := in.Resume(deadline(t), agentclient.New(s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b := <-got; !bytes.Equal(b, want) {
		t.Errorf("%d bytes arrived of %d, or they differ", len(b), len(want))
	}
}

func TestInputEndsWithTheProcess(t *testing.T) {
	a := &agenttest.Agent{Main: func(*agenttest.Process) agentproto.ExitStatus { return agentproto.ExitStatus{} }}
	c := agentclient.New(open(t, a))
	start(t, c)
	in, err := c.Input(deadline(t), testID, agentproto.InitProcess)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = in.Write(make([]byte, 10000))
	}
	if !errors.Is(err, agentclient.ErrInputEnded) {
		t.Errorf("Write = %v, want ErrInputEnded", err)
	}
}

func TestCallErrors(t *testing.T) {
	a := &agenttest.Agent{StartError: &agentproto.Error{Code: agentproto.ErrNotFound, Message: "no\nsuch \x1b[31mcommand\x00" + strings.Repeat("x", 10000)}}
	c := agentclient.New(open(t, a))
	_, err := c.Start(deadline(t), testID, agentproto.InitProcess, agentproto.StartRequest{})
	var refused *agentproto.Error
	if !errors.As(err, &refused) || refused.Code != agentproto.ErrNotFound {
		t.Fatalf("Start = %v", err)
	}
	if !strings.HasPrefix(refused.Message, "no such [31mcommand x") || len(refused.Message) > 600 {
		t.Errorf("message %q", refused.Message)
	}
}

func TestCallsEndWithTheirContext(t *testing.T) {
	block := make(chan struct{})
	a := &agenttest.Agent{Intercept: func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op == agentproto.OpHello {
			return false
		}
		<-block
		return true
	}}
	s := open(t, a)
	defer close(block)
	c := agentclient.New(s)
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := c.Wait(ctx, testID, "x"); !errors.Is(err, cause) {
				t.Errorf("Wait = %v, want the context's cause", err)
			}
		})
	}
	cancel(cause)
	wg.Wait()
	if s.Err() != nil {
		t.Errorf("the session ended: %v", s.Err())
	}
}

// TestGuestThatReadsNothing checks that calls end although the channel takes no
// more bytes.
func TestGuestThatReadsNothing(t *testing.T) {
	host, guest := pair(t)
	defer guest.Close()
	go greet(guest)
	s, err := agentclient.NewSession(deadline(t), host)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := agentclient.New(s)
	for range 5 {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		req := agentproto.StartRequest{Process: agentproto.Process{Seccomp: make([]byte, 2<<20)}}
		if _, err := c.Start(ctx, testID, "x", req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Start = %v, want a deadline", err)
		}
		cancel()
	}
}

// greet answers preamble and hello by hand, and then nothing.
func greet(guest net.Conn) {
	nonce, err := agentproto.ReadPreamble(guest, 0)
	if err != nil {
		return
	}
	p := agentproto.Preamble(nonce)
	guest.Write(p[:])
	io.ReadFull(guest, make([]byte, 12)) // window update with SYN
	var head [12]byte
	io.ReadFull(guest, head[:])
	io.ReadFull(guest, make([]byte, binary.BigEndian.Uint32(head[8:])))
	var frame bytes.Buffer
	agenttest.Reply(&frame, agentproto.HelloReply{Version: agentproto.Version}, nil)
	guest.Write(muxFrame(0, 2|4, 1, frame.Bytes())) // ACK and FIN
}

// muxFrame returns a yamux frame.
func muxFrame(kind byte, flags uint16, id uint32, body []byte) []byte {
	b := []byte{0, kind}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

func TestGuestViolations(t *testing.T) {
	header := func(kind byte, flags uint16, id, length uint32) []byte {
		b := muxFrame(kind, flags, id, nil)
		binary.BigEndian.PutUint32(b[8:], length)
		return b
	}
	for _, tt := range []struct {
		name string
		send []byte
		want error
	}{
		{"ping", header(2, 1, 0, 7), agentclient.ErrProtocol},
		{"stream of its own", header(1, 1, 2, 0), agentclient.ErrProtocol},
		{"go away", header(3, 0, 0, 1), agentclient.ErrProtocol},
		{"unknown frame", header(9, 0, 0, 1), agentclient.ErrProtocol},
		{"wrong version", []byte("\x01garbage garbage garbage"), agentclient.ErrProtocol},
		{"huge frame", header(0, 0, 1, 1<<31), agentclient.ErrProtocol},
		{"end twice", append(header(1, 4, 1, 0), header(1, 4, 1, 0)...), nil}, // of a stream both ends have finished
		{"hang up", nil, agentclient.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, guest := pair(t)
			go func() {
				greet(guest)
				guest.Write(tt.send)
				if errors.Is(tt.want, agentclient.ErrClosed) {
					guest.Close()
				}
			}()
			s, err := agentclient.NewSession(deadline(t), host)
			if err != nil {
				if !errors.Is(err, tt.want) {
					t.Fatal(err)
				}
				return
			}
			defer s.Close()
			if tt.want == nil {
				guest.Close()
				<-s.Done()
				return
			}
			select {
			case <-s.Done():
				if !errors.Is(s.Err(), tt.want) {
					t.Errorf("Err = %v, want %v", s.Err(), tt.want)
				}
			case <-deadline(t).Done():
				t.Error("the session goes on")
			}
			guest.Close()
		})
	}
}

func TestHostileReplies(t *testing.T) {
	for _, tt := range []struct {
		name  string
		reply func(st *yamux.Stream)
	}{
		{"too long", func(st *yamux.Stream) { st.Write([]byte{0xff, 0xff, 0xff, 0xff}) }},
		{"not JSON", func(st *yamux.Stream) { st.Write([]byte("\x00\x00\x00\x04{{{{")) }},
		{"half", func(st *yamux.Stream) { st.Write([]byte("\x00\x00\x00\x04{{")) }},
		{"wrong types", func(st *yamux.Stream) { agentproto.WriteFrame(st, map[string]any{"body": []int{1}, "error": 5}) }},
		{"wrong body", func(st *yamux.Stream) { agentproto.WriteFrame(st, map[string]any{"body": []int{1}}) }},
		{"negative offset", func(st *yamux.Stream) { agenttest.Reply(st, agentproto.BulkReply{Offset: -1}, nil) }},
		{"other offset", func(st *yamux.Stream) { agenttest.Reply(st, agentproto.BulkReply{Offset: 1 << 40}, nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := &agenttest.Agent{Intercept: func(req agentproto.Request, st *yamux.Stream) bool {
				if req.Op == agentproto.OpHello {
					return false
				}
				tt.reply(st)
				return true
			}}
			c := agentclient.New(open(t, a))
			if _, err := c.Output(deadline(t), testID, "x", 1, 0); !errors.Is(err, agentclient.ErrProtocol) {
				t.Errorf("Output = %v, want ErrProtocol", err)
			}
		})
	}
}

func TestHostileAcks(t *testing.T) {
	for _, n := range []uint64{1 << 40, 1 << 63, 1<<64 - 1} {
		a := &agenttest.Agent{Intercept: func(req agentproto.Request, st *yamux.Stream) bool {
			if req.Op != agentproto.OpInput {
				return false
			}
			agenttest.Reply(st, agentproto.BulkReply{}, nil)
			io.ReadFull(st, make([]byte, 5))
			st.Write(binary.BigEndian.AppendUint64(nil, n))
			io.Copy(io.Discard, st)
			return true
		}}
		c := agentclient.New(open(t, a))
		in, err := c.Input(deadline(t), testID, "x")
		if err != nil {
			t.Fatal(err)
		}
		in.Write([]byte("12345"))
		for err == nil { // until the wrong acknowledgement has come, or the window is full
			_, err = in.Write(make([]byte, 1000))
		}
		if !errors.Is(err, agentclient.ErrProtocol) {
			t.Errorf("acknowledging %d of 5: %v, want ErrProtocol", n, err)
		}
	}
}

func TestNewSessionGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name  string
		guest func(c net.Conn)
		want  error
	}{
		{"silence", func(net.Conn) {}, context.DeadlineExceeded},
		{"noise", func(c net.Conn) {
			for {
				if _, err := c.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, agentclient.ErrProtocol},
		{"old echoes", func(c net.Conn) {
			p := agentproto.Preamble(1)
			for {
				if _, err := c.Write(p[:]); err != nil {
					return
				}
			}
		}, agentclient.ErrProtocol},
		{"hang up", func(c net.Conn) { c.Close() }, agentclient.ErrClosed},
		{"echo, then silence", func(c net.Conn) {
			var p [agentproto.PreambleSize]byte
			io.ReadFull(c, p[:])
			c.Write(p[:])
		}, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			host, guest := pair(t)
			defer guest.Close()
			go tt.guest(guest)
			ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
			if !errors.Is(tt.want, context.DeadlineExceeded) {
				ctx = deadline(t)
			}
			defer cancel()
			if _, err := agentclient.NewSession(ctx, host); !errors.Is(err, tt.want) {
				t.Errorf("NewSession = %v, want %v", err, tt.want)
			}
		})
	}
}

// TestUnreadStreams checks that what a guest sends to streams nobody reads is
// not kept: it would be a window of memory for each call.
func TestUnreadStreams(t *testing.T) {
	var mu sync.Mutex
	var flooded int64
	a := &agenttest.Agent{Intercept: func(req agentproto.Request, st *yamux.Stream) bool {
		if req.Op != agentproto.OpSignal {
			return false
		}
		agenttest.Reply(st, struct{}{}, nil)
		st.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, _ := st.Write(make([]byte, 4<<20))
		mu.Lock()
		flooded += int64(n)
		mu.Unlock()
		return true
	}}
	s := open(t, a)
	c := agentclient.New(s)
	for range 50 {
		if err := c.Signal(deadline(t), testID, "x", agentproto.SignalRequest{Signal: 1}); err != nil {
			t.Fatal(err)
		}
	}
	if s.Err() != nil {
		t.Errorf("the session ended: %v", s.Err())
	}
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	if _, err := agentclient.New(agentclient.Dial(path)).List(deadline(t), testID); err == nil {
		t.Error("List without a monitor succeeded")
	}
	l, err := unixsock.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var req agentproto.Request
				if agentproto.ReadFrame(conn, agentproto.MaxRequest, &req) != nil {
					return
				}
				switch req.Op {
				case agentproto.OpList:
					agenttest.Reply(conn, agentproto.ListReply{PIDs: []int{1}, Processes: []agentproto.ProcessInfo{{ID: "a\x1b[2J", Exit: &agentproto.ExitStatus{Code: 700, Signal: 9}}}}, nil)
				case agentproto.OpWait: // the monitor goes away
				default:
					agenttest.Reply(conn, nil, &agentproto.Error{Code: agentclient.ErrUnavailable, Message: "restarting"})
				}
			}()
		}
	}()
	c := agentclient.New(agentclient.Dial(path))
	list, err := c.List(deadline(t), testID)
	if err != nil || len(list.PIDs) != 1 || list.Processes[0].ID != "a [2J" || list.Processes[0].Exit.Code != 137 {
		b, _ := json.Marshal(list)
		t.Errorf("List = %s, %v", b, err)
	}
	if _, err := c.Wait(deadline(t), testID, "x"); !errors.Is(err, agentclient.ErrClosed) {
		t.Errorf("Wait = %v, want ErrClosed", err)
	}
	var refused *agentproto.Error
	if err := c.Forget(deadline(t), testID, "x"); !errors.As(err, &refused) || refused.Code != agentclient.ErrUnavailable {
		t.Errorf("Forget = %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		limit    int
		want     string
	}{
		{"plain", "hello, wörld", 100, "hello, wörld"},
		{"control", "a\x00\x1b[31mb\x7f\u009bc", 100, "a [31mbc"},
		{"lines", "\n a\r\n\tb \n", 100, "a b"},
		{"invisible", "a\u202eb\u200bc", 100, "abc"},
		{"bad UTF-8", "a\xffb", 100, "a?b"},
		{"long", strings.Repeat("é", 100), 20, "éééééééé…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := agentclient.Printable(tt.in, tt.limit)
			if got != tt.want || len(got) > tt.limit {
				t.Errorf("Printable(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
			}
		})
	}
}
