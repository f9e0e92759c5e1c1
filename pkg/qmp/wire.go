package qmp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	goqmp "github.com/digitalocean/go-qemu/qmp"
	"golang.org/x/sys/unix"
)

// MaxMessageBytes bounds one message from QEMU. The longest known one, the reply to query-qmp-schema, has 0.2 MB.
const MaxMessageBytes = 16 << 20

// maxEventBytes bounds one event: a Watch holds hundreds, and none that exists comes near it.
const maxEventBytes = 64 << 10

// maxFiles is what the kernel passes in one message (SCM_MAX_FD).
const maxFiles = 253

// message is anything QEMU may send; which fields are set tells what it is.
type message struct {
	Greeting *struct {
		Version goqmp.Version `json:"version"`
	} `json:"QMP"`
	ID        json.RawMessage `json:"id"`
	Error     *wireError      `json:"error"`
	Event     string          `json:"event"`
	Data      json.RawMessage `json:"data"`
	Timestamp timestamp       `json:"timestamp"`

	// raw is the whole message, never shared with another one.
	raw []byte
}

type wireError struct {
	Class ErrorClass `json:"class"`
	Desc  string     `json:"desc"`
}

// timestamp is QEMU's wall clock; -1 in both fields when the host has none.
type timestamp struct {
	Seconds      int64 `json:"seconds"`
	Microseconds int64 `json:"microseconds"`
}

// reader cuts QEMU's stream into messages. QEMU ends each one with a line feed, and none contains another, since
// JSON escapes it (QEMU docs/interop/qmp-spec, "General Definitions").
type reader struct {
	buf *bufio.Reader
	max int
}

func newReader(r io.Reader, maxBytes int) *reader {
	return &reader{buf: bufio.NewReaderSize(r, 64<<10), max: maxBytes}
}

// next returns the next message. io.EOF means a clean end between messages, io.ErrUnexpectedEOF an end within one;
// errors wrapping ErrProtocol are unparsable or overlong messages.
func (r *reader) next() (*message, error) {
	for {
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		msg := &message{raw: line}
		if err := json.Unmarshal(line, msg); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return msg, nil
	}
}

// line reads up to the next line feed into a slice of its own.
func (r *reader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.buf.ReadSlice('\n')
		if len(line)+len(part) > r.max {
			return nil, fmt.Errorf("%w: message longer than %d bytes", ErrProtocol, r.max)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(bytes.TrimSpace(line)) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// encodeCommand puts id and a line end on a command given as a JSON object with "execute". It returns the bytes for
// the wire and the command's name for error texts.
func encodeCommand(command []byte, id uint64) (wire []byte, name string, err error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(command, &object); err != nil {
		return nil, "", fmt.Errorf("QMP command is not a JSON object: %w", err)
	}
	if err := json.Unmarshal(object["execute"], &name); err != nil || name == "" {
		return nil, "", errors.New(`QMP command without a name in "execute"`)
	}
	object["id"] = fmt.Appendf(nil, "%d", id)
	wire, err = json.Marshal(object)
	if err != nil {
		return nil, "", fmt.Errorf("encode QMP %s: %w", name, err)
	}
	return append(wire, '\n'), name, nil
}

// send writes data with the descriptors of files attached to its first byte. sent is how much was written: an error
// with 0 < sent < len(data) leaves half a command in the stream, which nothing can mend.
func send(conn *net.UnixConn, data []byte, files []*os.File) (sent int, err error) {
	if len(files) == 0 {
		return conn.Write(data)
	}
	if len(files) > maxFiles {
		return 0, fmt.Errorf("%d descriptors in one message, at most %d", len(files), maxFiles)
	}
	fds, err := duplicate(files)
	if err != nil {
		return 0, err
	}
	sent, _, err = conn.WriteMsgUnix(data, unix.UnixRights(fds...), nil)
	for _, fd := range fds {
		_ = unix.Close(fd) // the message holds its own reference
	}
	if err == nil && sent < len(data) {
		var n int
		n, err = conn.Write(data[sent:])
		sent += n
	}
	return sent, err
}

// duplicate returns new descriptors for files. File.Fd would do, if it did not make the file blocking for its owner.
func duplicate(files []*os.File) (fds []int, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}()
	for _, f := range files {
		raw, err := f.SyscallConn()
		if err != nil {
			return fds, fmt.Errorf("pass %s: %w", f.Name(), err)
		}
		var fd int
		var dupErr error
		err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
		if err := errors.Join(err, dupErr); err != nil {
			return fds, fmt.Errorf("pass %s: %w", f.Name(), err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
