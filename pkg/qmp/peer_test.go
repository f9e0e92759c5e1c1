package qmp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}`

// peer plays QEMU on the other end of a socket pair.
type peer struct {
	t    *testing.T
	conn *net.UnixConn
	in   *bufio.Reader
}

// socketPair returns two connected ends, closed with the test.
func socketPair(t testing.TB) (ours, theirs *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "socketpair")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = c.(*net.UnixConn)
		t.Cleanup(func() { c.Close() })
	}
	return ends[0], ends[1]
}

// newPair returns a Monitor that has not shaken hands and its peer, which has said nothing.
func newPair(t *testing.T, opts Options) (*Monitor, *peer) {
	t.Helper()
	ours, theirs := socketPair(t)
	m := New(ours, opts)
	t.Cleanup(func() { m.Disconnect(); <-m.Done() })
	return m, &peer{t, theirs, bufio.NewReader(theirs)}
}

// connected returns a Monitor after its handshake.
func connected(t *testing.T, opts Options) (*Monitor, *peer) {
	t.Helper()
	m, p := newPair(t, opts)
	done := p.play(func() {
		p.say(greeting)
		p.reply(p.expect("qmp_capabilities"), `{}`)
	})
	if _, err := m.Handshake(t.Context()); err != nil {
		t.Fatalf("Handshake: %v", err)
	}
	<-done
	return m, p
}

// play runs one side of a dialogue beside the test; wait for the channel before the next one.
func (p *peer) play(script func()) <-chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); script() }()
	return done
}

// say writes one message as QEMU would.
func (p *peer) say(format string, args ...any) {
	msg := format
	if len(args) > 0 {
		msg = fmt.Sprintf(format, args...)
	}
	if _, err := p.conn.Write([]byte(msg + "\r\n")); err != nil {
		p.t.Errorf("peer writes: %v", err)
	}
}

type heard struct {
	Execute   string          `json:"execute"`
	Arguments json.RawMessage `json:"arguments"`
	ID        json.RawMessage `json:"id"`
}

// hear reads one command.
func (p *peer) hear() heard {
	var cmd heard
	_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	line, err := p.in.ReadBytes('\n')
	if err != nil {
		p.t.Errorf("peer reads: %v", err)
		return cmd
	}
	if err := json.Unmarshal(line, &cmd); err != nil {
		p.t.Errorf("peer got %q: %v", line, err)
	}
	return cmd
}

// expect reads one command and checks its name.
func (p *peer) expect(name string) heard {
	cmd := p.hear()
	if cmd.Execute != name {
		p.t.Errorf("peer got command %q, want %q", cmd.Execute, name)
	}
	return cmd
}

func (p *peer) reply(to heard, result string) {
	p.say(`{"return": %s, "id": %s}`, result, to.ID)
}

func (p *peer) refuse(to heard, class, desc string) {
	p.say(`{"id": %s, "error": {"class": %q, "desc": %q}}`, to.ID, class, desc)
}

// soon is a context long enough for anything that happens at all.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// result is what a command run beside the test returned.
type result struct {
	value string
	err   error
}

// async runs a command whose reply is a string.
func async(ctx context.Context, m *Monitor, name string) <-chan result {
	out := make(chan result, 1)
	go func() {
		var r result
		r.err = m.Execute(ctx, name, nil, &r.value)
		out <- r
	}()
	return out
}

func longString(n int) string { return `"` + strings.Repeat("x", n) + `"` }
