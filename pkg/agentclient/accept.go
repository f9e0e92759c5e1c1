package agentclient

import (
	"context"

	"vpod/pkg/agentproto"
)

// Accept waits until a program of the container connects to the socket of that number
// (agentproto.Container.Sockets). The stream is the connection; the caller closes it.
func (c *Client) Accept(ctx context.Context, container string, socket int) (Stream, error) {
	st, _, err := c.open(ctx, agentproto.Request{Op: agentproto.OpAccept, Container: container}, agentproto.AcceptRequest{Socket: socket})
	return st, err
}
