package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/hashicorp/yamux"

	"vpod/pkg/agentproto"
)

// fakePort stands for the port and, with its host methods, for the host.
type fakePort struct {
	mu        sync.Mutex
	changed   *sync.Cond
	toGuest   bytes.Buffer
	toHost    bytes.Buffer
	connected bool
	cut       bool
}

func newFakePort() *fakePort {
	p := &fakePort{}
	p.changed = sync.NewCond(&p.mu)
	return p
}

func (p *fakePort) read(b []byte, wait bool) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.cut:
			return 0, os.ErrDeadlineExceeded
		case p.toGuest.Len() > 0:
			return p.toGuest.Read(b[:min(len(b), 5)]) // short reads, as on the port
		case !p.connected && !wait:
			return 0, io.EOF
		}
		p.changed.Wait()
	}
}

func (p *fakePort) write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.connected {
		if p.cut {
			return 0, os.ErrDeadlineExceeded
		}
		p.changed.Wait()
	}
	p.changed.Broadcast()
	return p.toHost.Write(b)
}

func (p *fakePort) interrupt(on bool) { p.set(func() { p.cut = on }) }

func (p *fakePort) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

// host is the host's end, an io.ReadWriteCloser.
type host struct {
	*fakePort
	gone bool // without the guest's having seen it
}

func (h *host) Read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.toHost.Len() == 0 || h.gone {
		if !h.connected || h.gone {
			return 0, io.EOF
		}
		h.changed.Wait()
	}
	return h.toHost.Read(b)
}

func (h *host) Write(b []byte) (int, error) {
	h.set(func() { h.toGuest.Write(b) })
	return len(b), nil
}

func (h *host) Close() error {
	h.set(func() {
		if !h.gone {
			h.connected = false
		}
	})
	return nil
}

func preamble(nonce uint64) []byte {
	p := agentproto.Preamble(nonce)
	return p[:]
}

func quiet() *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive, c.LogOutput = false, io.Discard
	return c
}

// echo serves one session over c: every stream gets back what it sends.
func echo(c io.ReadWriteCloser) error {
	s, err := yamux.Server(c, quiet())
	if err != nil {
		return err
	}
	for {
		st, err := s.AcceptStream()
		if err != nil {
			_ = s.Close()
			return nil
		}
		go func() {
			_, _ = io.Copy(st, st)
			_ = st.Close()
		}()
	}
}

// call opens a stream over h, sends body and checks that it comes back.
func call(t *testing.T, s *yamux.Session, body []byte) {
	t.Helper()
	st, err := s.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = st.Write(body)
		_ = st.Close()
	}()
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("%d bytes came back of %d, %v", len(got), len(body), err)
	}
}

func TestSessions(t *testing.T) {
	p := newFakePort()
	l := &Link{dev: p}
	done := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			if err := echo(c); err != nil {
				done <- err
				return
			}
		}
	}()
	connect := func(nonce uint64, before string) (*host, *yamux.Session) {
		t.Helper()
		h := &host{fakePort: p}
		_, _ = io.WriteString(h, before)
		_, _ = h.Write(preamble(nonce))
		if got, err := agentproto.ReadPreamble(h, 1<<20); err != nil || got != nonce {
			t.Fatalf("echo of the preamble: %x, %v; want %x", got, err, nonce)
		}
		s, err := yamux.Client(h, quiet())
		if err != nil {
			t.Fatal(err)
		}
		return h, s
	}

	p.set(func() { p.connected = true })
	_, s := connect(1, "noise of an earlier host")
	call(t, s, []byte("hello"))
	call(t, s, bytes.Repeat([]byte("0123456789"), 50_000))

	// The host goes and comes back.
	_ = s.Close()
	p.set(func() { p.connected = true })
	h, s := connect(2, "")
	call(t, s, bytes.Repeat([]byte{'V'}, 100_000)) // bodies may hold what a preamble begins with

	// A new host is there, and nobody saw the old one go.
	p.set(func() { h.gone = true })
	<-s.CloseChan()
	h, s = connect(3, "")
	call(t, s, []byte("again"))

	// The same, and it went in the middle of a frame.
	_, _ = h.Write([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 15, 0, 0, 'h', 'a', 'l', 'f'})
	p.set(func() { h.gone = true })
	<-s.CloseChan()
	_, s = connect(4, string(preamble(3)))
	call(t, s, []byte("once more"))
}

func TestNotConnectedIsNotYet(t *testing.T) {
	p := newFakePort()
	l := &Link{dev: p}
	got := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("Accept returned %v with no host", err)
	default:
	}
	p.set(func() { p.connected = true })
	_, _ = (&host{fakePort: p}).Write(preamble(9))
	if err := <-got; err != nil {
		t.Fatal(err)
	}
}

func TestHeaderGoesWithItsBody(t *testing.T) {
	p := newFakePort()
	p.connected = true
	c := &Conn{link: &Link{dev: p}}
	header := make([]byte, yamuxHeaderSize)
	body := bytes.Repeat([]byte("x"), coalesce+100)
	binary.BigEndian.PutUint32(header[8:], uint32(len(body)))
	update := append([]byte{0, 1}, make([]byte, 10)...)
	for _, b := range [][]byte{update, header, body} {
		if n, err := c.Write(b); n != len(b) || err != nil {
			t.Fatalf("Write of %d = %d, %v", len(b), n, err)
		}
	}
	want := append(append(append([]byte(nil), update...), header...), body...)
	if !bytes.Equal(p.toHost.Bytes(), want) {
		t.Errorf("%d bytes were sent, want %d, or they differ", p.toHost.Len(), len(want))
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(update); !errors.Is(err, errClosed) {
		t.Errorf("Write after Close = %v", err)
	}
}

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"vport0p1": "other\n", "vport0p2": "vpod.agent.0\n", "vport0p3": ""} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, name, "name"), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct{ name, port, want string }{
		{"found", agentproto.PortName, "vport0p2"},
		{"absent", "nobody", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lookup(dir, tt.port); got != tt.want {
				t.Errorf("lookup(%q) = %q, want %q", tt.port, got, tt.want)
			}
		})
	}
	if got := lookup(filepath.Join(dir, "nowhere"), "x"); got != "" {
		t.Errorf("lookup without the class = %q", got)
	}
}

func TestMatcher(t *testing.T) {
	marker := string(preamble(77))
	other := string(preamble(78))
	for _, tt := range []struct {
		name, in, rest string
		found          bool
	}{
		{"alone", marker, "", true},
		{"in the midst", "before" + marker + "after", "after", true},
		{"another's", "before" + other + "after", "", false},
		{"after half of one", marker[:10] + marker + "x", "x", true},
		{"nothing", "", "", false},
	} {
		for size := 1; size < 40; size++ {
			m := matcher{marker: [agentproto.PreambleSize]byte(preamble(77))}
			rest, found := "", false
			for in := tt.in; in != "" && !found; {
				n := min(size, len(in))
				var r []byte
				if r, found = m.scan([]byte(in[:n])); found {
					rest = string(r) + in[n:]
				}
				in = in[n:]
			}
			if found != tt.found || rest != tt.rest {
				t.Fatalf("%s in pieces of %d: found %t, rest %q; want %t, %q", tt.name, size, found, rest, tt.found, tt.rest)
			}
		}
	}
}

func FuzzConn(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 'h', 'i'})
	f.Add(preamble(7))
	f.Add(append([]byte{0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0}, preamble(7)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newFakePort()
		p.toGuest.Write(b)
		p.connected = true
		l := &Link{dev: p}
		go p.set(func() { p.connected = false })
		_, _ = io.Copy(io.Discard, &Conn{link: l, end: matcher{marker: agentproto.Preamble(7)}})
	})
}
