package qmp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestHandshakeReportsTheVersion(t *testing.T) {
	m, p := newPair(t, Options{})
	p.play(func() {
		p.say(greeting)
		p.reply(p.expect("qmp_capabilities"), `{}`)
	})
	v, err := m.Handshake(soon(t))
	if err != nil || v.String() != "7.2.22" || v.Package != "Debian" {
		t.Fatalf("Handshake = %v %q, %v; want 7.2.22 Debian", v, v.Package, err)
	}
}

func TestHandshakeFailures(t *testing.T) {
	tests := []struct {
		name   string
		script func(*peer)
		want   error
	}{
		{"silent QEMU", func(*peer) {}, context.DeadlineExceeded},
		{"vanished before the greeting", func(p *peer) { p.conn.Close() }, ErrGone},
		{"vanished within the greeting", func(p *peer) { io.WriteString(p.conn, greeting[:20]); p.conn.Close() }, ErrGone},
		{"vanished after the greeting", func(p *peer) { p.say(greeting); p.conn.Close() }, ErrGone},
		{"no JSON", func(p *peer) { p.say("QEMU 7.2.22 monitor - type 'help'") }, ErrProtocol},
		{"JSON, but no object", func(p *peer) { p.say("[1]") }, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, p := newPair(t, Options{Timeout: 100 * time.Millisecond})
			tt.script(p)
			if err := m.Connect(); !errors.Is(err, tt.want) {
				t.Errorf("Connect = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestGreetingInPieces(t *testing.T) {
	m, p := newPair(t, Options{})
	p.play(func() {
		for _, half := range []string{greeting[:1], greeting[1:40], greeting[40:], "\r", "\n"} {
			io.WriteString(p.conn, half)
			time.Sleep(5 * time.Millisecond)
		}
		p.reply(p.expect("qmp_capabilities"), `{}`)
	})
	if _, err := m.Handshake(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func TestEventTogetherWithTheHandshakeReply(t *testing.T) {
	m, p := newPair(t, Options{})
	w := m.Watch(t.Context())
	p.play(func() {
		p.say(greeting)
		cmd := p.expect("qmp_capabilities")
		p.say(`{"return": {}, "id": %s}`+"\r\n"+`{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}`, cmd.ID)
	})
	if _, err := m.Handshake(soon(t)); err != nil {
		t.Fatal(err)
	}
	if ev := <-w.C; ev.Name != "STOP" {
		t.Errorf("event %q, want STOP", ev.Name)
	}
}

func TestRepliesOutOfOrder(t *testing.T) {
	m, p := connected(t, Options{})
	a := async(soon(t), m, "a")
	first := p.expect("a")
	b := async(soon(t), m, "b")
	second := p.expect("b")
	p.reply(second, `"for b"`)
	if r := <-b; r.err != nil || r.value != "for b" {
		t.Errorf("b = %q, %v", r.value, r.err)
	}
	p.reply(first, `"for a"`)
	if r := <-a; r.err != nil || r.value != "for a" {
		t.Errorf("a = %q, %v", r.value, r.err)
	}
}

func TestManyCommandsAtOnce(t *testing.T) {
	m, p := connected(t, Options{})
	const n = 200
	p.play(func() {
		for range n {
			cmd := p.hear()
			p.reply(cmd, `"`+cmd.Execute+`"`)
		}
	})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			name := fmt.Sprintf("command-%d", i)
			if r := <-async(soon(t), m, name); r.err != nil || r.value != name {
				t.Errorf("%s = %q, %v", name, r.value, r.err)
			}
		})
	}
	all.Wait()
}

func TestLongReply(t *testing.T) {
	m, p := connected(t, Options{})
	r := async(soon(t), m, "query-qmp-schema")
	p.reply(p.expect("query-qmp-schema"), longString(300<<10))
	if r := <-r; r.err != nil || len(r.value) != 300<<10 {
		t.Errorf("%d bytes, %v; want %d", len(r.value), r.err, 300<<10)
	}
	r = async(soon(t), m, "next") // the session has survived it
	p.reply(p.expect("next"), `"ok"`)
	if r := <-r; r.err != nil {
		t.Error(r.err)
	}
}

func TestOverlongMessageEndsTheSession(t *testing.T) {
	m, p := connected(t, Options{})
	r := async(soon(t), m, "query")
	p.expect("query")
	chunk := []byte(strings.Repeat("x", 1<<20))
	for range MaxMessageBytes/len(chunk) + 1 {
		if _, err := p.conn.Write(chunk); err != nil {
			break // we were cut off, as we should be
		}
	}
	if r := <-r; !errors.Is(r.err, ErrProtocol) {
		t.Errorf("error %v, want %v", r.err, ErrProtocol)
	}
	if !errors.Is(m.Err(), ErrProtocol) {
		t.Errorf("Err = %v, want %v", m.Err(), ErrProtocol)
	}
}

func TestLateReplyAfterTimeout(t *testing.T) {
	m, p := connected(t, Options{Timeout: 50 * time.Millisecond})
	r := async(context.Background(), m, "slow")
	slow := p.expect("slow")
	if r := <-r; !errors.Is(r.err, context.DeadlineExceeded) || !strings.Contains(r.err.Error(), "slow: no answer within 50ms") {
		t.Fatalf("error %v, want a deadline that names the command", r.err)
	}
	p.reply(slow, `"too late"`)
	r = async(soon(t), m, "next")
	p.reply(p.expect("next"), `"ok"`)
	if r := <-r; r.err != nil || r.value != "ok" {
		t.Errorf("next = %q, %v", r.value, r.err)
	}
}

func TestCancelledContext(t *testing.T) {
	m, p := connected(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	r := async(ctx, m, "slow")
	p.expect("slow")
	cancel()
	if r := <-r; !errors.Is(r.err, context.Canceled) {
		t.Errorf("error %v, want %v", r.err, context.Canceled)
	}
}

func TestPeerThatStopsReading(t *testing.T) {
	m, p := connected(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	p.play(func() { p.in.ReadByte(); cancel() })                 // the write has begun
	big := map[string]string{"data": strings.Repeat("x", 4<<20)} // more than a socket holds
	if err := m.Execute(ctx, "big", big, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	// Half a command is in the stream: nothing sent after it could be understood.
	if err := m.Stop(soon(t)); !errors.Is(err, ErrClosed) {
		t.Errorf("after half a command: %v, want %v", err, ErrClosed)
	}
}

func TestIgnoredMessages(t *testing.T) {
	tests := []struct{ name, message string }{
		{"unknown id", `{"return": "not yours", "id": 4711}`},
		{"foreign id", `{"return": "not yours", "id": "libvirt-1"}`},
		{"id that is an object", `{"return": "not yours", "id": {"a": 1}}`},
		{"error without id", `{"error": {"class": "GenericError", "desc": "JSON parse error"}}`},
		{"second greeting", greeting},
		{"unknown kind", `{"news": true}`},
		{"empty object", `{}`},
		{"empty line", ``},
		{"endless event", `{"event": "X", "data": ` + longString(maxEventBytes) + `}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, p := connected(t, Options{})
			r := async(soon(t), m, "query")
			cmd := p.expect("query")
			p.say("%s", tt.message)
			p.reply(cmd, `"mine"`)
			if r := <-r; r.err != nil || r.value != "mine" {
				t.Errorf("query = %q, %v; want mine", r.value, r.err)
			}
		})
	}
}

func TestRefusalKeepsItsClass(t *testing.T) {
	m, p := connected(t, Options{})
	r := async(soon(t), m, "frobnicate")
	p.refuse(p.expect("frobnicate"), "CommandNotFound", "The command frobnicate has not been found")
	err := (<-r).err
	var refused *Error
	if !errors.As(err, &refused) || refused.Class != ClassCommandNotFound || refused.Command != "frobnicate" {
		t.Fatalf("error %#v, want class %s", err, ClassCommandNotFound)
	}
	if want := "QMP frobnicate: The command frobnicate has not been found (CommandNotFound)"; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
	if !HasClass(fmt.Errorf("wrapped: %w", err), ClassCommandNotFound) || HasClass(err, ClassGeneric) {
		t.Error("HasClass does not see it")
	}
}

func TestPeerVanishesDuringACommand(t *testing.T) {
	m, p := connected(t, Options{})
	w := m.Watch(t.Context())
	r := async(soon(t), m, "query")
	p.expect("query")
	p.say(`{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`)
	p.conn.Close()
	if r := <-r; !errors.Is(r.err, ErrGone) {
		t.Errorf("error %v, want %v", r.err, ErrGone)
	}
	<-m.Done()
	if !errors.Is(m.Err(), ErrGone) {
		t.Errorf("Err = %v, want %v", m.Err(), ErrGone)
	}
	// What it said before is kept, and then the channel ends.
	if ev, ok := <-w.C; !ok || ev.Data != (Shutdown{Guest: true, Reason: ShutdownGuest}) {
		t.Errorf("event %+v %v, want the shutdown", ev, ok)
	}
	if _, ok := <-w.C; ok {
		t.Error("event channel still open")
	}
	if err := m.Stop(soon(t)); !errors.Is(err, ErrGone) {
		t.Errorf("command after the end: %v, want %v", err, ErrGone)
	}
}

func TestDisconnect(t *testing.T) {
	m, p := connected(t, Options{})
	r := async(soon(t), m, "query")
	p.expect("query")
	m.Disconnect()
	m.Disconnect()
	<-m.Done()
	if r := <-r; !errors.Is(r.err, ErrClosed) {
		t.Errorf("error %v, want %v", r.err, ErrClosed)
	}
	if _, err := p.in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("peer read: %v, want EOF", err)
	}
}

func TestFilesArePassed(t *testing.T) {
	m, p := connected(t, Options{})
	var files []*os.File
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		defer w.Close()
		fmt.Fprintf(w, "pipe %d", i)
		files = append(files, r)
	}
	done := make(chan error, 1)
	go func() { done <- m.Execute(soon(t), "take", nil, nil, files...) }()

	buf, oob := make([]byte, 4096), make([]byte, unix.CmsgSpace(16*4))
	n, oobn, _, _, err := p.conn.ReadMsgUnix(buf, oob)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(buf[:n]), `"take"`) {
		t.Errorf("message %q", buf[:n])
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("control messages %v, %v", msgs, err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != len(files) {
		t.Fatalf("descriptors %v, %v; want %d", fds, err, len(files))
	}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "passed")
		got := make([]byte, 6)
		io.ReadFull(f, got)
		f.Close()
		if want := fmt.Sprintf("pipe %d", i); string(got) != want {
			t.Errorf("descriptor %d reads %q, want %q", i, got, want)
		}
	}
	p.say(`{"return": {}, "id": 2}`)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestClosedFileIsRefused(t *testing.T) {
	m, p := connected(t, Options{})
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := m.Getfd(soon(t), "x", f); err == nil {
		t.Error("a closed file was passed")
	}
	r := async(soon(t), m, "next")
	p.reply(p.expect("next"), `"ok"`)
	if r := <-r; r.err != nil {
		t.Errorf("the session did not survive it: %v", r.err)
	}
}

func TestRunRefusesWhatIsNoCommand(t *testing.T) {
	m, _ := connected(t, Options{})
	for _, in := range []string{``, `[]`, `"x"`, `{}`, `{"execute": 3}`, `{"execute": ""}`} {
		if _, err := m.Run([]byte(in)); err == nil {
			t.Errorf("Run(%q) succeeded", in)
		}
	}
}
