package monitor

import (
	"encoding/json"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"vpod/pkg/agentproto"
	"vpod/pkg/logs"
)

// streams are a container's standard streams: its output goes to the log and to
// every attached client, theirs to its input.
type streams struct {
	log   *logs.Writer
	dir   string // for what slow clients have not taken
	slog  *slog.Logger
	stdin *stdin

	blocked atomic.Int32 // outputs held up by a client that has too much waiting

	mu      sync.Mutex
	clients map[*client]struct{}
	ended   bool // no more clients

	size *agentproto.ResizeRequest // last asked for, by any client
}

func newStreams(log *logs.Writer, dir string, stdinWanted bool, l *slog.Logger) *streams {
	return &streams{log: log, dir: dir, slog: l, stdin: newStdin(stdinWanted), clients: map[*client]struct{}{}}
}

// client is an attached client.
type client struct {
	conn     *net.UnixConn
	hello    Hello
	queue    *queue
	endInput func()        // what the client types from now on is for nobody
	closed   chan struct{} // closed when both directions have ended
	clean    bool          // the client closed its end having read everything; valid once closed
}

// wants reports whether the client asked for frames of this kind.
func (c *client) wants(kind FrameKind) bool {
	switch kind {
	case FrameStdout:
		return c.hello.Stdout
	case FrameStderr:
		return c.hello.Stderr
	}
	return true
}

// add attaches a client: everything printed from now on is queued for it. It
// reports false when the container is gone.
func (s *streams) add(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.clients[c] = struct{}{}
	return true
}

func (s *streams) remove(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
}

// attached returns the clients there are.
func (s *streams) attached() []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		list = append(list, c)
	}
	return list
}

// output takes charge of a part of the container's output. It blocks only for a
// client that has queueSpill waiting, and not for long.
func (s *streams) output(stream logs.Stream, p []byte) {
	s.log.Write(stream, p)
	kind := FrameStdout
	if stream == logs.Stderr {
		kind = FrameStderr
	}
	for _, c := range s.attached() {
		if c.wants(kind) {
			s.blocked.Add(1)
			c.queue.push(kind, p, false)
			s.blocked.Add(-1)
		}
	}
}

// exit tells every client how a run of the container ended, behind all that it
// printed, and lets go of them. It returns those told.
func (s *streams) exit(e Exit, final bool) []*client {
	s.mu.Lock()
	told := make([]*client, 0, len(s.clients))
	for c := range s.clients {
		told = append(told, c)
	}
	clear(s.clients)
	s.ended = s.ended || final
	s.mu.Unlock()
	e.Restarts = !final
	body, err := json.Marshal(e)
	if err != nil {
		s.slog.Error("encode exit frame", "error", err) // an Exit always encodes
		body = []byte("{}")
	}
	var wg sync.WaitGroup
	for _, c := range told {
		c.endInput()
		wg.Go(func() { // each may have to wait for its client to make room
			c.queue.push(FrameExit, body, true)
		})
	}
	wg.Wait()
	return told
}

// setSize remembers a terminal size asked for.
func (s *streams) setSize(size agentproto.ResizeRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = &size
}

// lastSize returns the terminal size asked for last; nil when none was.
func (s *streams) lastSize() *agentproto.ResizeRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}
