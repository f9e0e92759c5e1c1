package sidecar

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"testing"
)

// withLength puts a frame's length before it.
func withLength(frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// splitAll feeds a stream to a splitter in pieces of at most n bytes.
func splitAll(stream []byte, n int) (out []byte, dropped int, err error) {
	guard := testGuard()
	s := frameSplitter{pass: func(head []byte) bool {
		if guard.mayLeave(head) {
			return true
		}
		dropped++
		return false
	}}
	var buf []byte
	for len(stream) > 0 {
		take := min(n, len(stream))
		buf = append(buf, stream[:take]...)
		stream = stream[take:]
		kept, rest, err := s.split(buf)
		for _, part := range kept {
			out = append(out, part...)
		}
		if err != nil {
			return out, dropped, err
		}
		buf = slices.Clone(rest)
	}
	return out, dropped, nil
}

func TestFrameSplitter(t *testing.T) {
	good := withLength(ipFrame("10.0.2.15", "192.0.2.1", 100))
	large := withLength(ipFrame("10.0.2.15", "192.0.2.1", 65000))
	bad := withLength(ipFrame("10.0.2.15", "127.0.0.1", 65000))
	small := withLength([]byte{1, 2, 3})
	empty := withLength(nil)
	stream := slices.Concat(good, bad, bad, large, empty, small, good, good, bad, large)
	want := slices.Concat(good, large, good, good, large)
	for _, n := range []int{1, 2, 3, 5, 57, 58, 59, 1000, 65536, len(stream)} {
		out, dropped, err := splitAll(stream, n)
		if err != nil || dropped != 5 || !bytes.Equal(out, want) {
			t.Errorf("in pieces of %d: %d bytes, %d dropped, %v; want %d bytes, 5 dropped", n, len(out), dropped, err, len(want))
		}
	}
	out, _, err := splitAll(slices.Concat(good, []byte{0, 1, 0x20, 0}), 9)
	if !errors.Is(err, errFrameTooLong) || !bytes.Equal(out, good) {
		t.Errorf("frame too long: %d bytes, %v", len(out), err)
	}
}

// FuzzFrameSplitter cuts a stream of anything in two ways: what is carried must
// be the same, consist of whole frames, and hold no refused one.
func FuzzFrameSplitter(f *testing.F) {
	f.Add(slices.Concat(withLength(ipFrame("10.0.2.15", "192.0.2.1", 9)), withLength(ipFrame("10.0.2.15", "127.0.0.1", 9))), uint16(7))
	f.Add(withLength(ipFrame("fd00::15", "::1", 9)), uint16(3))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 9, 0xff, 0xff, 0xff, 0xff}, uint16(2))
	f.Fuzz(func(t *testing.T, stream []byte, n uint16) {
		whole, dropped, err := splitAll(stream, max(len(stream), 1))
		pieces, dropped2, err2 := splitAll(stream, int(n%600)+1)
		if !bytes.Equal(whole, pieces) || dropped != dropped2 || !errors.Is(err2, err) {
			t.Fatalf("whole: %x, %d, %v; in pieces: %x, %d, %v", whole, dropped, err, pieces, dropped2, err2)
		}
		guard := testGuard()
		for rest := whole; len(rest) >= lengthBytes; {
			size := int(binary.BigEndian.Uint32(rest))
			frame := rest[lengthBytes:]
			if len(frame) >= min(size, headBytes) && !guard.mayLeave(frame[:min(size, headBytes)]) {
				t.Fatalf("carried %x", frame)
			}
			rest = frame[min(size, len(frame)):]
		}
	})
}

// BenchmarkFrameFilter carries frames through a filter to a reader.
func BenchmarkFrameFilter(b *testing.B) {
	for _, size := range []int{1500, 65000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			toQEMU, nic, err := streamPair()
			if err != nil {
				b.Fatal(err)
			}
			toPasst, end, err := streamPair()
			if err != nil {
				b.Fatal(err)
			}
			f := &frameFilter{guest: toQEMU, net: toPasst, guard: testGuard(), log: slog.New(slog.DiscardHandler), answered: make(chan struct{}), ended: make(chan struct{})}
			f.start()
			frame := withLength(ipFrame("10.0.2.15", "192.0.2.1", size))
			total := int64(b.N) * int64(len(frame))
			done := make(chan error, 1)
			go func() {
				buf := make([]byte, carryBytes)
				for total > 0 {
					n, err := end.Read(buf)
					if err != nil {
						done <- err
						return
					}
					total -= int64(n)
				}
				done <- nil
			}()
			b.SetBytes(int64(len(frame)))
			b.ResetTimer()
			for range b.N {
				if _, err := nic.Write(frame); err != nil {
					b.Fatal(err)
				}
			}
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			nic.Close()
			<-f.ended
			end.Close()
		})
	}
}
