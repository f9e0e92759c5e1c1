// Package bulk keeps the standard streams of a process while sessions with the
// host come and go: Output holds what has not been acknowledged, Input knows what
// has been taken, so that no byte is lost and none comes twice. The rules are in
// pkg/agentproto's package comment.
//
// It knows neither processes nor the channel; package runner gives it the pipes,
// package service the streams.
package bulk

import (
	"io"
	"time"
)

// Stream is a bulk stream of the channel.
type Stream interface {
	io.ReadWriter
	// Close ends this side's direction.
	Close() error
	SetReadDeadline(t time.Time) error
	// Broken reports whether the session has ended: the end of the stream then
	// means nothing.
	Broken() bool
}

// ackSize is the length of an acknowledgement on the wire.
const ackSize = 8
