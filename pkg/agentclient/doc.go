// Package agentclient is the host's side of agentproto: sessions with the agent
// of one machine, and the typed calls made over them.
//
// A stream to the agent comes from an Opener. There are two: a Session, which
// owns the channel of a machine (the monitor has one), and a Socket, the
// monitor's agent.sock, each connection of which is one stream (every other
// vpod process has that). Client makes the calls over either.
//
// The guest is hostile. Every frame is bounded in length, every wait ends with
// its context, text from the guest is stripped of what a terminal would act
// upon, and a guest that breaks the protocol costs its own session and nothing
// else. The package starts no machine and keeps no log.
package agentclient
