package agentclient_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"runtime"
	"testing"
	"time"

	"vpod/pkg/agentclient"
	"vpod/pkg/agentclient/agenttest"
	"vpod/pkg/agentproto"
)

// FuzzHostileGuest plays a guest that greets properly, or not even that, and
// then sends whatever it likes while the host makes every call there is.
// Nothing may panic, hang past its deadline or keep memory.
func FuzzHostileGuest(f *testing.F) {
	reply := func(body any) []byte {
		var b bytes.Buffer
		agenttest.Reply(&b, body, nil)
		return b.Bytes()
	}
	f.Add(true, []byte{})
	f.Add(false, []byte("garbage"))
	f.Add(true, muxFrame(0, 2, 3, reply(agentproto.BulkReply{})))
	f.Add(true, append(muxFrame(0, 2, 3, reply(agentproto.BulkReply{})), muxFrame(0, 0, 3, binary.BigEndian.AppendUint64(nil, 5))...))
	f.Add(true, append(muxFrame(0, 2, 5, reply(agentproto.BulkReply{})), muxFrame(0, 4, 5, bytes.Repeat([]byte("x"), 5000))...))
	f.Add(true, bytes.Repeat(muxFrame(1, 8, 3, nil), 20))
	f.Add(true, bytes.Repeat(muxFrame(2, 1, 0, nil), 100))
	f.Add(true, bytes.Repeat(muxFrame(1, 2, 3, nil), 100))
	f.Fuzz(func(t *testing.T, greets bool, b []byte) {
		host, guest := pair(t)
		defer guest.Close()
		go func() {
			if greets {
				greet(guest)
			}
			go io.Copy(io.Discard, guest)
			guest.Write(b)
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		began := time.Now()
		s, err := agentclient.NewSession(ctx, host)
		if err == nil {
			c := agentclient.New(s)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if in, err := c.Input(ctx, testID, "x"); err == nil {
					context.AfterFunc(ctx, func() { in.Close() })
					in.Write([]byte("12345"))
					in.CloseWrite()
				}
			}()
			if out, err := c.Output(ctx, testID, "x", 1, 0); err == nil {
				context.AfterFunc(ctx, func() { out.Close() })
				buf := make([]byte, 1000)
				for {
					if _, err := out.Read(buf); err != nil {
						break
					}
					out.Ack()
				}
			}
			c.Start(ctx, testID, "x", agentproto.StartRequest{})
			c.Wait(ctx, testID, "x")
			c.List(ctx, testID)
			<-done
			s.Close()
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if m.HeapInuse > 512<<20 {
			t.Errorf("%d MiB of heap", m.HeapInuse>>20)
		}
	})
}
