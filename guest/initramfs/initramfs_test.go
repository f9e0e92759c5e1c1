package initramfs

import (
	"bytes"
	"errors"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
)

// member is one archive member as read back.
type member struct {
	name                        string
	ino, mode, uid, gid, nlink  uint64
	mtime, rdevMajor, rdevMinor uint64
	content                     []byte
}

// parse reads a newc archive the way the kernel does and fails the test on the
// first thing the kernel would stumble over.
func parse(t *testing.T, b []byte) []member {
	t.Helper()
	if len(b)%newcAlign != 0 {
		t.Fatalf("archive of %d bytes is not a multiple of %d", len(b), newcAlign)
	}
	align := func(n int) int { return (n + newcAlign - 1) / newcAlign * newcAlign }
	var members []member
	for off := 0; ; {
		if len(b)-off < newcHeaderLen {
			t.Fatalf("offset %d: archive ends without trailer", off)
		}
		if got := string(b[off : off+6]); got != newcMagic {
			t.Fatalf("offset %d: magic %q, want %q", off, got, newcMagic)
		}
		field := func(i int) uint64 {
			s := string(b[off+6+8*i : off+14+8*i])
			v, err := strconv.ParseUint(s, 16, 32)
			if err != nil {
				t.Fatalf("offset %d: field %d: %v", off, i, err)
			}
			return v
		}
		size, nameLen := int(field(6)), int(field(11))
		nameEnd := off + newcHeaderLen + nameLen
		if b[nameEnd-1] != 0 {
			t.Fatalf("offset %d: name is not NUL-terminated", off)
		}
		m := member{
			name: string(b[off+newcHeaderLen : nameEnd-1]),
			ino:  field(0), mode: field(1), uid: field(2), gid: field(3), nlink: field(4),
			mtime: field(5), rdevMajor: field(9), rdevMinor: field(10),
		}
		data := align(nameEnd)
		m.content = b[data : data+size]
		off = align(data + size)
		if m.name == newcTrailer {
			if off != len(b) {
				t.Fatalf("%d bytes after the trailer", len(b)-off)
			}
			return members
		}
		members = append(members, m)
	}
}

func build(t *testing.T, agent []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, bytes.NewReader(agent), int64(len(agent))); err != nil {
		t.Fatalf("Write of an agent of %d bytes: %v", len(agent), err)
	}
	return buf.Bytes()
}

func TestWriteMembers(t *testing.T) {
	agent := []byte("\x7fELF not a multiple of four")
	got := parse(t, build(t, agent))

	want := []member{
		{name: "dev", mode: 0o040755, nlink: 2},
		{name: "dev/console", mode: 0o020600, nlink: 1, rdevMajor: 5, rdevMinor: 1},
		{name: "dev/null", mode: 0o020666, nlink: 1, rdevMajor: 1, rdevMinor: 3},
		{name: "init", mode: 0o100755, nlink: 1, content: agent},
		{name: "proc", mode: 0o040755, nlink: 2},
		{name: "run", mode: 0o040755, nlink: 2},
		{name: "sys", mode: 0o040755, nlink: 2},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d members, want %d", len(got), len(want))
	}
	for i, w := range want {
		w.ino = uint64(i + 1)
		g := got[i]
		if !bytes.Equal(g.content, w.content) {
			t.Errorf("%s: content %q, want %q", w.name, g.content, w.content)
		}
		g.content, w.content = nil, nil
		if g.name != w.name || g.ino != w.ino || g.mode != w.mode || g.nlink != w.nlink ||
			g.rdevMajor != w.rdevMajor || g.rdevMinor != w.rdevMinor {
			t.Errorf("member %d: got %+v, want %+v", i, g, w)
		}
		if g.uid != 0 || g.gid != 0 || g.mtime != 0 {
			t.Errorf("%s: uid %d gid %d mtime %d, want all zero", g.name, g.uid, g.gid, g.mtime)
		}
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	agent := bytes.Repeat([]byte{1, 2, 3}, 1000)
	if !bytes.Equal(build(t, agent), build(t, agent)) {
		t.Error("two archives of the same agent differ")
	}
}

func TestWriteAlignsEveryAgentSize(t *testing.T) {
	for size := 1; size <= 9; size++ {
		agent := bytes.Repeat([]byte{'x'}, size)
		for _, m := range parse(t, build(t, agent)) {
			if m.name == "init" && !bytes.Equal(m.content, agent) {
				t.Errorf("agent of %d bytes came back as %q", size, m.content)
			}
		}
	}
}

func TestWriteErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	tests := []struct {
		name  string
		w     io.Writer
		agent io.Reader
		size  int64
		want  error // nil: any error
	}{
		{name: "empty agent", w: io.Discard, agent: strings.NewReader(""), size: 0},
		{name: "negative size", w: io.Discard, agent: strings.NewReader("x"), size: -1},
		{name: "agent shorter than said", w: io.Discard, agent: strings.NewReader("abc"), size: 4, want: io.ErrUnexpectedEOF},
		{name: "agent over 4 GiB", w: io.Discard, agent: strings.NewReader("abc"), size: 1 << 32, want: ErrAgentTooLarge},
		{name: "agent unreadable", w: io.Discard, agent: iotest.ErrReader(broken), size: 4, want: broken},
		{name: "writer full at once", w: &limitedWriter{left: 0, err: broken}, agent: strings.NewReader("abcd"), size: 4, want: broken},
		{name: "writer full at the trailer", w: &limitedWriter{left: 900, err: broken}, agent: strings.NewReader("abcd"), size: 4, want: broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Write(tt.w, tt.agent, tt.size)
			if err == nil {
				t.Fatal("Write succeeded, want an error")
			}
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Write: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestWriteReadsNothingPastSize(t *testing.T) {
	agent := strings.NewReader("agentrest")
	if err := Write(io.Discard, agent, 5); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(agent); string(rest) != "rest" {
		t.Errorf("left in the reader: %q, want %q", rest, "rest")
	}
}

// cpio(1) is a second reader, by other hands than ours.
func TestWriteIsReadByCpio(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio on this machine")
	}
	cmd := exec.CommandContext(t.Context(), cpio, "-t", "--quiet")
	cmd.Stdin = bytes.NewReader(build(t, []byte("agent")))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio -t: %v\n%s", err, out)
	}
	const want = "dev\ndev/console\ndev/null\ninit\nproc\nrun\nsys\n"
	if string(out) != want {
		t.Errorf("cpio -t: got %q, want %q", out, want)
	}
}

// limitedWriter takes left bytes and then fails with err.
type limitedWriter struct {
	left int
	err  error
}

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > l.left {
		n := l.left
		l.left = 0
		return n, l.err
	}
	l.left -= len(p)
	return len(p), nil
}
