package agentproto

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of the protocol, in bytes.
const (
	MaxRequest = 8 << 20   // a framed Request; the largest hold an environment and a seccomp filter
	MaxReply   = 1 << 20   // a framed Reply
	Window     = 1 << 20   // unacknowledged bytes of one bulk stream
	AckEvery   = 128 << 10 // acknowledge at least this often; smaller amounts once the source pauses
)

// PortName is the name of the virtio-serial port that carries the channel.
const PortName = "vpod.agent.0"

// PreambleSize is the length of a Preamble on the wire.
const PreambleSize = 24

// preambleMagic cannot appear in a yamux header, whose first byte is 0.
const preambleMagic = "VPOD-AGENT-SYNC\n"

// Preamble opens a session; both ends write the same one.
func Preamble(nonce uint64) [PreambleSize]byte {
	var p [PreambleSize]byte
	copy(p[:], preambleMagic)
	binary.BigEndian.PutUint64(p[len(preambleMagic):], nonce)
	return p
}

// ReadPreamble reads r until a preamble has gone by, discarding what came
// before it, and returns its nonce. It reads one byte at a time while out of
// step, never past the preamble. discardLimit bounds what it discards, in bytes;
// 0 is no bound.
func ReadPreamble(r io.Reader, discardLimit int) (nonce uint64, err error) {
	var p [PreambleSize]byte
	if _, err := io.ReadFull(r, p[:]); err != nil {
		return 0, err
	}
	for discarded := 0; string(p[:len(preambleMagic)]) != preambleMagic; discarded++ {
		if discardLimit > 0 && discarded >= discardLimit {
			return 0, fmt.Errorf("no preamble within %d bytes", discardLimit)
		}
		copy(p[:], p[1:])
		if _, err := io.ReadFull(r, p[PreambleSize-1:]); err != nil {
			return 0, err
		}
	}
	return binary.BigEndian.Uint64(p[len(preambleMagic):]), nil
}

// ErrTooLong reports a frame longer than the reader's bound.
var ErrTooLong = errors.New("message too long")

// WriteFrame writes v as one frame in one Write.
func WriteFrame(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	frame := make([]byte, 4+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	copy(frame[4:], body)
	_, err = w.Write(frame)
	return err
}

// ReadFrame reads one frame of at most limit bytes into v. It never reads past
// the frame. It returns io.EOF when the stream ended before the first byte, and
// an error that is ErrTooLong when the peer announced more than limit.
func ReadFrame(r io.Reader, limit int, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if int64(n) > int64(limit) {
		return fmt.Errorf("%w: %d bytes announced, at most %d allowed", ErrTooLong, n, limit)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}
