// Package agentproto is the contract between the host and the agent, PID 1 of
// every machine: the bytes on the channel, the requests and their replies.
//
// # The channel
//
// One byte stream, the virtio-serial port PortName. A session begins when the
// host writes a Preamble (magic, then a nonce of its own) and the agent, which
// discards everything before it, echoes it. From then on the stream carries
// hashicorp/yamux, the host as the client. A broken channel (end of file on the
// port) ends the session, not the containers: the agent waits for the next
// preamble, and processes and their unacknowledged output outlive it.
//
// A preamble where a frame of yamux's should begin ends a session too. In the
// middle of a frame, where a host that takes over a machine saved in mid-session
// may find the agent, only the preamble of the session under way does: such a
// host writes that one again, in one piece, and then its own.
//
// # Streams
//
// Every yamux stream opened by the host begins with one framed Request and is
// answered by one framed Reply. A frame is a four-byte big-endian length and
// that many bytes of JSON. A control stream ends there. A bulk stream (OpInput,
// OpOutput) goes on, when the reply holds no error, with raw bytes; each end
// shuts its own direction.
//
// Bulk bytes are counted from the start of the process. The receiving end writes
// acknowledgements, each the eight-byte big-endian count of bytes it has taken
// charge of, in the other direction. The sender keeps what is not acknowledged
// (at most Window bytes, then it stops reading its source) and, when a stream
// is opened again with another Offset, repeats from there: no byte is lost and
// none comes twice.
//
// The host never trusts what it reads: lengths are bounded by MaxReply, counts
// are checked, and nothing from the guest becomes a path or a name on the host.
//
// Both the host (pkg/agentclient) and the guest (guest/agent) import this
// package; it imports nothing of vpod's.
package agentproto
