package monitor

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	queueMemory = 1 << 20          // bytes of a client's queue held in memory
	queueSpill  = 256 << 20        // and beyond that in a file
	queueGrace  = 10 * time.Second // a client with a full queue is dropped when it takes nothing for this long
)

// frameHead is the length of what stands before a frame's payload; see WriteFrame.
const frameHead = 5

// queue is what a client has yet to take: a FIFO of bytes, frame after frame,
// first in memory, then in an unlinked file. Several goroutines may push, one
// takes.
type queue struct {
	dir        string // of the file
	memory     int    // limits, in bytes
	spillLimit int64
	grace      time.Duration

	mu    sync.Mutex
	mem   []byte // older than what is in the file
	head  int    // first byte of mem not taken
	spill *os.File
	read  int64 // positions in the stream of spilled bytes; the file is a ring
	wrote int64

	changed chan struct{} // closed, and replaced, when bytes come, go, or the queue ends
	waiting int           // how many wait for that
	closed  bool          // nothing more comes
	gone    bool          // nobody takes any more
	lost    bool          // the client was dropped
	taken   int64         // bytes, so far

	// Where in a frame taking has come to.
	headLen  int
	headBuf  [frameHead]byte
	bodyLeft int
}

// newQueue returns an empty queue that spills into directory dir.
func newQueue(dir string) *queue {
	return &queue{dir: dir, memory: queueMemory, spillLimit: queueSpill, grace: queueGrace, changed: make(chan struct{})}
}

// notify wakes everyone who waits. q.mu is held.
func (q *queue) notify() {
	if q.waiting > 0 {
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// wait waits for the next change, or for expired. q.mu is held, but not meanwhile.
func (q *queue) wait(expired <-chan time.Time) (late bool) {
	changed := q.changed
	q.waiting++
	q.mu.Unlock()
	select {
	case <-changed:
	case <-expired:
		late = true
	}
	q.mu.Lock()
	q.waiting--
	return late
}

// push adds one frame; last ends the queue with it. While the queue is full it blocks, as long as the client
// takes something at least every grace; else the client is dropped: what it has
// not taken is replaced by a FrameLost.
func (q *queue) push(kind FrameKind, payload []byte, last bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var timer *time.Timer
	var from int64 // what had been taken when the wait began
	for !q.closed && !q.gone {
		if q.store(kind, payload) {
			q.closed = last
			q.notify()
			return
		}
		if timer == nil {
			timer, from = time.NewTimer(q.grace), q.taken
			defer timer.Stop()
		}
		late := q.wait(timer.C)
		switch {
		case q.taken != from:
			from = q.taken
			timer.Reset(q.grace)
		case late:
			q.lose(fmt.Sprintf("it took nothing for %s while %d MiB were waiting for it", q.grace, q.size()>>20))
		}
	}
}

// size is how much waits, in bytes. q.mu is held.
func (q *queue) size() int64 { return int64(len(q.mem)-q.head) + q.wrote - q.read }

// store puts a frame into memory or the file; false when there is no room.
func (q *queue) store(kind FrameKind, payload []byte) bool {
	var head [frameHead]byte
	head[0] = byte(kind)
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	n := len(head) + len(payload)
	if q.wrote == q.read && len(q.mem)-q.head+n <= q.memory {
		if q.head > 0 && len(q.mem)+n > cap(q.mem) {
			q.mem = q.mem[:copy(q.mem, q.mem[q.head:])]
			q.head = 0
		}
		q.mem = append(append(q.mem, head[:]...), payload...)
		return true
	}
	if q.wrote-q.read+int64(n) > q.spillLimit {
		return false
	}
	if q.spill == nil {
		f, err := unlinkedFile(q.dir)
		if err != nil {
			return false // no disk: the source waits until there is room in memory
		}
		q.spill = f
	}
	at := q.wrote
	for _, part := range [][]byte{head[:], payload} {
		if !q.spillAt(part, at) {
			return false
		}
		at += int64(len(part))
	}
	q.wrote = at
	return true
}

// spillAt writes p at a position of the ring.
func (q *queue) spillAt(p []byte, at int64) bool {
	for len(p) > 0 {
		at %= q.spillLimit
		n := min(int64(len(p)), q.spillLimit-at)
		if _, err := q.spill.WriteAt(p[:n], at); err != nil {
			return false
		}
		p, at = p[n:], at+n
	}
	return true
}

// unlinkedFile returns a file in dir that has no name.
func unlinkedFile(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".spill-*")
	if err != nil {
		return nil, fmt.Errorf("make spill file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make spill file: %w", err)
	}
	return f, nil
}

// take waits for bytes and moves some into p; 0 is the end of the queue.
func (q *queue) take(p []byte) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.gone {
			return 0
		}
		if n := q.remove(p); n > 0 {
			return n
		}
		if q.closed {
			return 0
		}
		q.wait(nil)
	}
}

// remove moves bytes into p and keeps track of frames. q.mu is held.
func (q *queue) remove(p []byte) int {
	n := copy(p, q.mem[q.head:])
	q.head += n
	if q.head == len(q.mem) {
		q.head, q.mem = 0, q.mem[:0]
		if cap(q.mem) > 128<<10 {
			q.mem = nil // a burst is over
		}
	}
	if n == 0 && q.wrote > q.read {
		at := q.read % q.spillLimit
		want := min(int64(len(p)), q.wrote-q.read, q.spillLimit-at)
		got, err := q.spill.ReadAt(p[:want], at)
		if err != nil {
			q.discard() // the file system failed under us: nothing sensible can follow
			q.gone = true
			q.notify()
			return 0
		}
		n = got
		q.read += int64(n)
		if q.read == q.wrote {
			_ = q.spill.Truncate(0) // gives the disk space back
			q.read, q.wrote = 0, 0
		}
	}
	if n > 0 {
		q.follow(p[:n])
		q.taken += int64(n)
		q.notify()
	}
	return n
}

// follow keeps track of frames through what was taken.
func (q *queue) follow(p []byte) {
	for len(p) > 0 {
		if q.bodyLeft > 0 {
			n := min(len(p), q.bodyLeft)
			q.bodyLeft -= n
			p = p[n:]
			continue
		}
		n := copy(q.headBuf[q.headLen:], p)
		q.headLen += n
		p = p[n:]
		if q.headLen == frameHead {
			q.headLen = 0
			q.bodyLeft = int(binary.BigEndian.Uint32(q.headBuf[1:]))
		}
	}
}

// lose drops the client: what is left of the frame it is in, and a FrameLost,
// are all it still gets. q.mu is held.
func (q *queue) lose(reason string) {
	var rest []byte
	for !q.gone && (q.headLen > 0 || q.bodyLeft > 0) {
		need := q.bodyLeft
		if need == 0 {
			need = frameHead - q.headLen
		}
		part := make([]byte, need)
		n := q.remove(part)
		if n == 0 {
			break
		}
		rest = append(rest, part[:n]...)
	}
	q.discard()
	head := []byte{byte(FrameLost), 0, 0, 0, 0}
	binary.BigEndian.PutUint32(head[1:], uint32(len(reason)))
	q.mem, q.head = append(append(rest, head...), reason...), 0
	q.bodyLeft, q.headLen = 0, 0
	q.closed, q.lost = true, true
	q.notify()
}

// drained reports whether the queue has ended and all of it was taken.
func (q *queue) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && !q.gone && q.size() == 0
}

// wasLost reports whether the client was dropped.
func (q *queue) wasLost() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// discard empties the queue. q.mu is held.
func (q *queue) discard() {
	q.mem, q.head, q.read, q.wrote = nil, 0, 0, 0
	if q.spill != nil {
		q.spill.Close()
		q.spill = nil
	}
}

// abandon says that nobody takes any more.
func (q *queue) abandon() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gone = true
	q.discard()
	q.notify()
}
