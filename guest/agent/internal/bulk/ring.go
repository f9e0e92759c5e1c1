package bulk

// ring holds the bytes from base up to end of an endless sequence, in a buffer
// that grows to a bound.
type ring struct {
	buf       []byte // its length is a power of two
	max       int    // of len(buf); a power of two
	base, end int64
}

func (r *ring) held() int { return int(r.end - r.base) }

func (r *ring) full() bool { return r.held() == r.max }

// space returns a stretch that bytes may be read into, growing the buffer when it
// is full. It is empty only when the ring is full.
func (r *ring) space() []byte {
	if r.full() {
		return nil
	}
	if r.held() == len(r.buf) {
		r.grow()
	}
	from := int(r.end) & (len(r.buf) - 1)
	return r.buf[from:min(len(r.buf), from+len(r.buf)-r.held())]
}

func (r *ring) grow() {
	bigger := make([]byte, 2*len(r.buf))
	for at := r.base; at < r.end; {
		at += int64(copy(bigger[int(at)&(len(bigger)-1):], r.stretch(at)))
	}
	r.buf = bigger
}

// stretch returns held bytes from at on, as many as lie together.
func (r *ring) stretch(at int64) []byte {
	from := int(at) & (len(r.buf) - 1)
	return r.buf[from:min(len(r.buf), from+int(r.end-at))]
}

// commit adds n bytes that have been read into space.
func (r *ring) commit(n int) { r.end += int64(n) }

// drop lets go of everything before upTo.
func (r *ring) drop(upTo int64) { r.base = upTo }
