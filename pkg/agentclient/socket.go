package agentclient

import (
	"context"

	"vpod/pkg/unixsock"
)

// Socket opens streams through a monitor's agent.sock.
type Socket struct{ path string }

// Dial returns an Opener over the agent socket at path. It connects at each
// stream only, so an error comes then.
func Dial(path string) *Socket { return &Socket{path: path} }

// OpenStream implements Opener: one connection is one stream.
func (s *Socket) OpenStream(ctx context.Context) (Stream, error) {
	conn, err := unixsock.Dial(ctx, s.path)
	if err != nil {
		return nil, err
	}
	return conn, nil
}
