package monitor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// frames reads all frames of b.
func frames(t *testing.T, b []byte) (data []byte, last FrameKind, lastText string) {
	t.Helper()
	r := bytes.NewReader(b)
	for r.Len() > 0 {
		kind, payload, err := ReadFrame(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		last, lastText = kind, string(payload)
		if kind == FrameStdout {
			data = append(data, payload...)
		}
	}
	return data, last, lastText
}

func TestQueueKeepsEverything(t *testing.T) {
	q := newQueue(t.TempDir())
	q.memory, q.spillLimit = 10_000, 100_000
	var want bytes.Buffer
	go func() {
		for i := range 2000 {
			p := bytes.Repeat([]byte{byte(i)}, rand.IntN(3000))
			want.Write(p)
			q.push(FrameStdout, p, false)
		}
		q.push(FrameExit, []byte("end"), true)
	}()
	var got []byte
	for {
		buf := make([]byte, 1+rand.IntN(5000))
		n := q.take(buf)
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
		if rand.IntN(50) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	data, last, text := frames(t, got)
	if !bytes.Equal(data, want.Bytes()) || last != FrameExit || text != "end" {
		t.Errorf("%d bytes of %d came, the last frame is %q %q", len(data), want.Len(), last, text)
	}
	if q.wrote != 0 || cap(q.mem) > 128<<10 {
		t.Errorf("an empty queue holds %d bytes of file and %d of memory", q.wrote, cap(q.mem))
	}
}

func TestQueueDropsWhoTakesNothing(t *testing.T) {
	for _, takes := range []int{0, 3, 7, 1000} {
		t.Run(fmt.Sprintf("in the middle of a frame, at %d", takes), func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(dir)
				q.memory, q.spillLimit = 5000, 20_000
				var got []byte
				began := time.Now()
				if takes > 0 {
					q.push(FrameStdout, make([]byte, 1500), false)
					buf := make([]byte, takes)
					got = append(got, buf[:q.take(buf)]...)
				}
				for range 100 {
					q.push(FrameStdout, make([]byte, 1500), false)
				}
				if took := time.Since(began); took != q.grace {
					t.Errorf("the source was held up for %s, want %s", took, q.grace)
				}
				if !q.wasLost() {
					t.Error("not dropped")
				}
				for buf := make([]byte, 100); ; {
					n := q.take(buf)
					if n == 0 {
						break
					}
					got = append(got, buf[:n]...)
				}
				_, last, text := frames(t, got)
				if last != FrameLost || !strings.Contains(text, "took nothing for 10s") {
					t.Errorf("the last frame is %q %q", last, text)
				}
			})
		})
	}
}

// TestQueueWaitsForWhoTakesLittle: a client that goes on taking is never dropped.
func TestQueueWaitsForWhoTakesLittle(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(dir)
		q.memory, q.spillLimit = 5000, 20_000
		var wg sync.WaitGroup
		var got []byte
		wg.Go(func() {
			buf := make([]byte, 700)
			for {
				time.Sleep(q.grace - time.Second)
				n := q.take(buf)
				if n == 0 {
					return
				}
				got = append(got, buf[:n]...)
			}
		})
		for range 60 {
			q.push(FrameStdout, make([]byte, 1500), false)
		}
		q.push(FrameExit, nil, true)
		wg.Wait()
		if data, last, _ := frames(t, got); last != FrameExit || len(data) != 60*1500 {
			t.Errorf("%d bytes came, the last frame is %q", len(data), last)
		}
	})
}

func TestQueueWithoutDisk(t *testing.T) {
	q := newQueue("/nonexistent")
	q.memory = 5000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			q.push(FrameStdout, make([]byte, 1500), false)
		}
		q.push(FrameExit, nil, true)
	}()
	var got []byte
	for buf := make([]byte, 1000); ; {
		n := q.take(buf)
		if n == 0 {
			break
		}
		got = append(got, buf[:n]...)
	}
	<-done
	if data, _, _ := frames(t, got); len(data) != 100*1500 {
		t.Errorf("%d bytes came", len(data))
	}
}

func TestQueueAbandoned(t *testing.T) {
	q := newQueue(t.TempDir())
	q.memory, q.spillLimit = 5000, 10_000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			q.push(FrameStdout, make([]byte, 1500), false)
		}
	}()
	buf := make([]byte, 10)
	q.take(buf)
	q.abandon()
	<-done // pushes end at once
	if n := q.take(buf); n != 0 {
		t.Errorf("took %d bytes", n)
	}
	if left, _ := os.ReadDir(q.dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
