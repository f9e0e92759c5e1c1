package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample writes a log whose i-th line is "line i", second i of a minute, each in
// two parts on odd lines, and returns its path.
func sample(t *testing.T, driver string, lines int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctr.log")
	w := openAt(t, Options{Driver: driver, Path: path})
	start := at.Truncate(time.Minute)
	for i := range lines {
		w.now = func() time.Time { return start.Add(time.Duration(i) * time.Second) }
		if i%2 == 1 {
			w.Write(Stdout, []byte("line "))
			w.Write(Stdout, []byte(fmt.Sprintf("%d\n", i)))
		} else {
			w.Write(Stdout, []byte(fmt.Sprintf("line %d\n", i)))
		}
	}
	return path
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

func TestShow(t *testing.T) {
	start := at.Truncate(time.Minute)
	for _, driver := range []string{DriverK8sFile, DriverJSONFile} {
		path := sample(t, driver, 9)
		for _, tt := range []struct {
			name string
			o    ReadOptions
			want string
		}{
			{"all", ReadOptions{Tail: -1}, lines(0, 9)},
			{"tail 0", ReadOptions{Tail: 0}, ""},
			{"tail 1", ReadOptions{Tail: 1}, lines(8, 9)},
			{"tail 2", ReadOptions{Tail: 2}, lines(7, 9)},
			{"tail more than there is", ReadOptions{Tail: 100}, lines(0, 9)},
			{"since", ReadOptions{Tail: -1, Since: start.Add(5 * time.Second)}, lines(5, 9)},
			{"until", ReadOptions{Tail: -1, Until: start.Add(3 * time.Second)}, lines(0, 3)},
			{"tail and since", ReadOptions{Tail: 5, Since: start.Add(6 * time.Second)}, lines(6, 9)},
		} {
			t.Run(driver+" "+tt.name, func(t *testing.T) {
				var out, errOut bytes.Buffer
				if err := Show(t.Context(), &out, &errOut, []Source{{Driver: driver, Path: path}}, tt.o); err != nil {
					t.Fatal(err)
				}
				if out.String() != tt.want || errOut.Len() > 0 {
					t.Errorf("printed %q and %q, want %q", out.String(), errOut.String(), tt.want)
				}
			})
		}
	}
}

func TestShowKeepsStreamsApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	w := openAt(t, Options{Path: path})
	w.Write(Stdout, []byte("out\n"))
	w.Write(Stderr, []byte("err\n"))
	w.Write(Stdout, []byte("prompt> "))
	var out, errOut bytes.Buffer
	if err := Show(t.Context(), &out, &errOut, []Source{{Path: path}}, ReadOptions{Tail: -1, Timestamps: true}); err != nil {
		t.Fatal(err)
	}
	stamp := "2024-05-06T07:08:09.000012345+02:00 "
	if got, want := out.String(), stamp+"out\n"+stamp+"prompt> "; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got, want := errOut.String(), stamp+"err\n"; got != want {
		t.Errorf("stderr %q, want %q", got, want)
	}
}

func TestShowMergesByTime(t *testing.T) {
	dir := t.TempDir()
	start := at
	var sources []Source
	for i, name := range []string{"web", "db"} {
		path := filepath.Join(dir, name)
		w := openAt(t, Options{Path: path})
		for n := range 3 {
			w.now = func() time.Time { return start.Add(time.Duration(2*n+i) * time.Second) }
			w.Write(Stdout, []byte(fmt.Sprintf("%s ", name)))
			w.Write(Stdout, []byte(fmt.Sprintf("%d\n", n)))
		}
		w.Write(Stdout, []byte("unfinished"))
		sources = append(sources, Source{Path: path, Prefix: name})
	}
	var out bytes.Buffer
	if err := Show(t.Context(), &out, &out, sources, ReadOptions{Tail: -1}); err != nil {
		t.Fatal(err)
	}
	want := "web web 0\ndb db 0\nweb web 1\ndb db 1\nweb web 2\nweb unfinished\ndb db 2\ndb unfinished\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestShowNone(t *testing.T) {
	if err := Show(t.Context(), io.Discard, io.Discard, []Source{{Driver: DriverNone}}, ReadOptions{Tail: -1}); !errors.Is(err, ErrNoLog) {
		t.Errorf("Show = %v, want ErrNoLog", err)
	}
	var out bytes.Buffer
	missing := Source{Path: filepath.Join(t.TempDir(), "never")}
	if err := Show(t.Context(), &out, &out, []Source{missing}, ReadOptions{Tail: -1}); err != nil || out.Len() > 0 {
		t.Errorf("Show of a container never started = %v, printed %q", err, out.String())
	}
}

func TestShowSkipsWhatIsNoLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	stamp := "2024-05-06T07:08:09.000012345+02:00"
	text := "garbage\n" + stamp + " stdout F good\n" + stamp + " nowhere F x\n" + strings.Repeat("z", maxEntry+100000) + "\n\x00\n" +
		stamp + " stdout F:t also\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tail := range []int{-1, 2, 50} {
		var out bytes.Buffer
		if err := Show(t.Context(), &out, &out, []Source{{Path: path}}, ReadOptions{Tail: tail}); err != nil {
			t.Fatal(err)
		}
		if out.String() != "good\nalso\n" {
			t.Errorf("tail %d printed %q", tail, out.String())
		}
	}
}

// lineWaiter is a writer that tells what it was given.
type lineWaiter struct {
	t    *testing.T
	ch   chan string
	have string
}

func newLineWaiter(t *testing.T) *lineWaiter { return &lineWaiter{t: t, ch: make(chan string, 1000)} }

func (l *lineWaiter) Write(p []byte) (int, error) {
	l.ch <- string(p)
	return len(p), nil
}

// expect waits until exactly want has been written since the last call.
func (l *lineWaiter) expect(want string) {
	l.t.Helper()
	timeout := time.After(20 * time.Second)
	for len(l.have) < len(want) {
		select {
		case s := <-l.ch:
			l.have += s
		case <-timeout:
			l.t.Fatalf("printed %q, still waiting for %q", l.have, want)
		}
	}
	if l.have != want {
		l.t.Fatalf("printed %q, want %q", l.have, want)
	}
	l.have = ""
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ctr.log")
	gone := make(chan struct{})
	out := newLineWaiter(t)
	done := make(chan error, 1)
	w := openAt(t, Options{Path: path})
	w.Write(Stdout, []byte("zero\none\n"))
	go func() {
		done <- Show(t.Context(), out, io.Discard, []Source{{Path: path, Gone: gone}}, ReadOptions{Tail: 1, Follow: true})
	}()
	out.expect("one\n")
	w.Write(Stdout, []byte("two\n"))
	out.expect("two\n")
	w.Write(Stdout, []byte("par"))
	out.expect("par")
	w.Write(Stdout, []byte("tial\n"))
	out.expect("tial\n")

	w.mu.Lock()
	w.replace()
	w.mu.Unlock()
	w.Write(Stdout, []byte("in the new file\n"))
	out.expect("in the new file\n")

	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	w.Write(Stdout, []byte("emptied\n"))
	out.expect("emptied\n")

	w.Write(Stdout, []byte("last"))
	close(gone)
	out.expect("last")
	if err := <-done; err != nil {
		t.Errorf("Show = %v once the container is gone", err)
	}
}

func TestFollowWaitsForTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	out := newLineWaiter(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Show(ctx, out, io.Discard, []Source{{Path: path, Prefix: "c1"}, {Path: path, Prefix: "c2"}}, ReadOptions{Tail: -1, Follow: true})
	}()
	w := openAt(t, Options{Path: path})
	w.Write(Stdout, []byte("hi\n"))
	got := <-out.ch
	for len(got) < 12 {
		got += <-out.ch
	}
	if got != "c1 hi\nc2 hi\n" && got != "c2 hi\nc1 hi\n" {
		t.Errorf("printed %q", got)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Show = %v, want context.Canceled", err)
	}
}

func TestFollowUntil(t *testing.T) {
	path := sample(t, "", 5)
	var out bytes.Buffer
	o := ReadOptions{Tail: -1, Follow: true, Until: at.Truncate(time.Minute).Add(2 * time.Second)}
	if err := Show(t.Context(), &out, &out, []Source{{Path: path}}, o); err != nil || out.String() != lines(0, 2) {
		t.Errorf("Show = %v, printed %q", err, out.String())
	}
}

// TestFollowEverything follows a log that is replaced all the time.
func TestFollowEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	w := openAt(t, Options{Path: path})
	gone := make(chan struct{})
	pr, pw := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Show(t.Context(), pw, io.Discard, []Source{{Path: path, Gone: gone}}, ReadOptions{Tail: -1, Follow: true})
		pw.Close()
		done <- err
	}()
	const n = 3000
	go func() {
		for i := range n {
			w.Write(Stdout, []byte(fmt.Sprintf("line %d\n", i)))
		}
		close(gone)
	}()
	b, err := io.ReadAll(pr)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || string(b) != lines(0, n) {
		t.Errorf("Show = %v; %d bytes, want %d", err, len(b), len(lines(0, n)))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2024-05-06T07:08:09.000012345+02:00 stdout F text\n"))
	f.Add([]byte(`{"log":"a\n","stream":"stdout","time":"2024-05-06T05:08:09.000012345Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, driver := range []string{DriverK8sFile, DriverJSONFile} {
			if err := Show(t.Context(), io.Discard, io.Discard, []Source{{Driver: driver, Path: path}}, ReadOptions{Tail: 2}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzRoundTrip checks that the k8s-file driver gives back what it was given.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("a\nb"), 1)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		path := filepath.Join(t.TempDir(), "log")
		w := openAt(t, Options{Path: path})
		cut = min(max(cut, 0), len(b))
		w.Write(Stdout, b[:cut])
		w.Write(Stdout, b[cut:])
		var out bytes.Buffer
		if err := Show(t.Context(), &out, &out, []Source{{Path: path}}, ReadOptions{Tail: -1}); err != nil || !bytes.Equal(out.Bytes(), b) {
			t.Errorf("Show = %v, %q, want %q", err, out.Bytes(), b)
		}
	})
}
