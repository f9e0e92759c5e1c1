package sidecar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// frameFilter stands between QEMU and passt and lets no frame pass by which the
// guest would reach the host's own loopback; see loopbackGuard for what these are.
type frameFilter struct {
	guest, net *net.UnixConn
	guard      *loopbackGuard
	log        *slog.Logger

	probe    []byte        // frame sent to passt before anything else
	answered chan struct{} // closed when passt has answered it
	ended    chan struct{} // closed when nothing is carried any more

	dropped  atomic.Uint64
	warnOnce sync.Once
}

// Sizes, in bytes.
const (
	lengthBytes = 4         // of the length before each frame on the stream
	carryBytes  = 256 << 10 // carried at once; more than any frame

	// maxFrame is the longest frame QEMU sends: NET_BUFSIZE in its include/net/net.h.
	maxFrame = 4096 + 65536
)

var errFrameTooLong = errors.New("frame longer than any QEMU sends")

// start begins to carry frames both ways. It ends when either side closes, and
// then closes both.
func (f *frameFilter) start() {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer f.close()
		if _, err := f.net.Write(f.probe); err != nil {
			f.log.Debug("ask passt whether it serves", "error", err)
			return
		}
		f.log.Debug("network of the guest ends, outward", "error", carry(f.guest, f.net, f.outward))
	})
	wg.Go(func() {
		defer f.close()
		f.log.Debug("network of the guest ends, inward", "error", carry(f.net, f.guest, f.inward()))
	})
	go func() {
		wg.Wait()
		close(f.ended)
	}()
}

// close ends both directions.
func (f *frameFilter) close() {
	f.guest.Close()
	f.net.Close()
}

// outward judges a frame of the guest.
func (f *frameFilter) outward(head []byte) bool {
	if f.guard.mayLeave(head) {
		return true
	}
	f.dropped.Add(1)
	f.warnOnce.Do(func() {
		f.log.Warn("the guest sent packets to the host's loopback, or that are not IP; they are dropped")
	})
	return false
}

// inward returns what judges the frames of passt: all pass but the answer to the probe.
func (f *frameFilter) inward() func(head []byte) bool {
	waiting := true
	return func(head []byte) bool {
		if waiting && isARPReply(head, f.guard.gateway) {
			waiting = false
			close(f.answered)
			return false
		}
		f.guard.arrives(head)
		return true
	}
}

// carry copies frames until a read or write does not work, which it returns. pass
// judges each one by its first headBytes.
func carry(from, to *net.UnixConn, pass func(head []byte) bool) error {
	s := frameSplitter{pass: pass}
	buf := make([]byte, carryBytes)
	have := 0
	for {
		n, readErr := from.Read(buf[have:])
		have += n
		kept, rest, splitErr := s.split(buf[:have])
		for _, part := range kept {
			if _, err := to.Write(part); err != nil {
				return fmt.Errorf("write frame: %w", err)
			}
		}
		have = copy(buf, rest)
		if splitErr != nil {
			return splitErr
		}
		if readErr != nil {
			return fmt.Errorf("read frame: %w", readErr)
		}
	}
}

// frameSplitter cuts a stream of frames into the parts to carry and those to drop.
// It judges a frame by its head, so that a long one need not be complete in memory.
type frameSplitter struct {
	pass func(head []byte) bool
	left int  // bytes of the current frame still to come
	drop bool // and what becomes of them
}

// split returns the parts of buf to carry, in order, and the rest to be presented
// again before what comes next (shorter than a head with its length). Both alias
// buf. After errFrameTooLong the stream is of no use.
func (s *frameSplitter) split(buf []byte) (kept [][]byte, rest []byte, err error) {
	start, i := 0, 0 // buf[start:i] is to be carried
	flush := func(end int) {
		if end > start {
			kept = append(kept, buf[start:end])
		}
	}
	for i < len(buf) {
		if s.left > 0 {
			n := min(s.left, len(buf)-i)
			if s.drop {
				flush(i)
				start = i + n
			}
			i += n
			s.left -= n
			continue
		}
		if len(buf)-i < lengthBytes {
			break
		}
		n := int(binary.BigEndian.Uint32(buf[i:]))
		if n > maxFrame {
			flush(i)
			return kept, nil, errFrameTooLong
		}
		head := buf[i+lengthBytes:]
		if len(head) < min(n, headBytes) {
			break
		}
		s.left = lengthBytes + n
		s.drop = !s.pass(head[:min(n, headBytes)])
	}
	flush(i)
	return kept, buf[i:], nil
}

// arpRequest returns the frame, with its length before it, by which the guest
// would ask for the gateway's MAC address.
func arpRequest(mac net.HardwareAddr, guest, gateway netip.Addr) []byte {
	b := binary.BigEndian.AppendUint32(nil, arpBytes)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	b = append(b, mac...)
	b = binary.BigEndian.AppendUint16(b, etherARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, request
	b = append(b, mac...)
	b = append(b, guest.AsSlice()...)
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, gateway.AsSlice()...)
}

// isARPReply reports whether the frame tells addr's MAC address.
func isARPReply(frame []byte, addr netip.Addr) bool {
	if len(frame) < arpBytes || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return false
	}
	arp := frame[ethernetBytes:]
	return binary.BigEndian.Uint16(arp[6:]) == 2 && netip.AddrFrom4([4]byte(arp[14:18])) == addr
}
