package monitor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"vpod/pkg/timing"
)

// Two conversations lead to a monitor besides the agent streams.
//
// The report: descriptor 3 of the monitor, one end of a socket pair held by the
// command that starts it. The monitor writes Report lines (JSON, one a line),
// the command writes GoLine when it is ready for the first process to run. If the
// command goes away before it wrote GoLine, the monitor gives up and cleans up;
// afterwards it no longer matters.
//
// The attach socket: each connection begins with one Hello line (JSON) answered
// by one HelloReply line; after an OpAttach it carries frames (WriteFrame).

// GoLine lets the first process start.
const GoLine = "go\n"

// Events of a Report.
const (
	ReportReady   = "ready"   // the attach socket serves and the machine is coming up; waiting for GoLine
	ReportStarted = "started" // the first process runs
	ReportNotice  = "notice"  // something the user should know, in Error; the start goes on
	ReportFailed  = "failed"  // nothing runs; Error and ExitCode say why; the monitor ends
)

// Report is one line on the report pipe.
type Report struct {
	Event    string `json:"event"`
	Error    string `json:"error,omitempty"`
	ExitCode int    `json:"exitCode,omitempty"` // 125, 126 or 127

	Timing *timing.Record `json:"timing,omitempty"` // what the monitor has recorded since its last report
}

// Op is what a connection to the attach socket asks.
type Op string

// The operations of the attach socket.
const (
	OpAttach Op = "attach"
	OpStop   Op = "stop" // StopSignal, StopTimeout, then SIGKILL; no restart; answered when the container has ended
	OpKill   Op = "kill" // one signal to the first process; restart policy applies unless NoRestart

	OpPause   Op = "pause"   // the machine stands still until
	OpUnpause Op = "unpause" // it goes on; answered when its clock is set again
)

// Hello is the first line on a connection to the attach socket.
type Hello struct {
	Version   int    `json:"version"` // LaunchVersion
	Op        Op     `json:"op"`
	Container string `json:"container"`

	// Attach: which streams, and whether this client will remove an AutoRemove
	// container itself once it has read the exit frame.
	Stdin   bool `json:"stdin,omitempty"`
	Stdout  bool `json:"stdout,omitempty"`
	Stderr  bool `json:"stderr,omitempty"`
	Removes bool `json:"removes,omitempty"`

	// Stop and kill.
	Signal         int  `json:"signal,omitempty"`         // 0 in a stop is the container's own stop signal
	TimeoutSeconds *int `json:"timeoutSeconds,omitempty"` // nil in a stop is the container's own
	NoRestart      bool `json:"noRestart,omitempty"`
}

// HelloReply answers a Hello. Error "" is success.
type HelloReply struct {
	Version int    `json:"version"`
	Error   string `json:"error,omitempty"`
}

// FrameKind says what a frame of an attach connection holds.
type FrameKind byte

// The frames. Data frames hold raw bytes; the others JSON or nothing.
const (
	FrameStdin    FrameKind = 'i' // to the monitor: bytes
	FrameStdinEOF FrameKind = 'e' // to the monitor: end of standard input
	FrameResize   FrameKind = 'w' // to the monitor: agentproto.ResizeRequest
	FrameSignal   FrameKind = 's' // to the monitor: agentproto.SignalRequest
	FrameStdout   FrameKind = '1' // from the monitor: bytes
	FrameStderr   FrameKind = '2' // from the monitor: bytes
	FrameExit     FrameKind = 'x' // from the monitor, last: Exit of this run; everything printed has come before
	FrameLost     FrameKind = 'l' // from the monitor, last: text saying why this client was dropped
)

// MaxFrame is the longest payload of a frame, in bytes.
const MaxFrame = 256 << 10

// ErrFrameTooLong reports a frame longer than MaxFrame.
var ErrFrameTooLong = errors.New("attach frame too long")

// WriteFrame writes one frame: kind, four-byte big-endian length, payload.
func WriteFrame(w io.Writer, kind FrameKind, payload []byte) error {
	if len(payload) > MaxFrame {
		return ErrFrameTooLong
	}
	frame := make([]byte, 5+len(payload))
	frame[0] = byte(kind)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	copy(frame[5:], payload)
	_, err := w.Write(frame)
	return err
}

// ReadFrame reads one frame into buf, which it grows when needed, and returns
// the payload as a part of buf.
func ReadFrame(r io.Reader, buf []byte) (FrameKind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > MaxFrame {
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrFrameTooLong, n)
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return 0, nil, fmt.Errorf("attach frame cut short: %w", err)
	}
	return FrameKind(head[0]), buf, nil
}
