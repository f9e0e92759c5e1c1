package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// at is the time all entries of these tests carry.
var at = time.Date(2024, 5, 6, 7, 8, 9, 12345, time.FixedZone("", 2*3600))

func openAt(t *testing.T, o Options) *Writer {
	t.Helper()
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return at }
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWriterFormats(t *testing.T) {
	type write struct {
		s    Stream
		text string
	}
	for _, tt := range []struct {
		name   string
		driver string
		writes []write
		want   string
	}{
		{"k8s lines", DriverK8sFile, []write{{Stdout, "one\ntwo\n"}, {Stderr, "three\n"}},
			"2024-05-06T07:08:09.000012345+02:00 stdout F one\n" +
				"2024-05-06T07:08:09.000012345+02:00 stdout F two\n" +
				"2024-05-06T07:08:09.000012345+02:00 stderr F three\n"},
		{"k8s part and rest", "", []write{{Stdout, "prompt> "}, {Stdout, "\n\n"}},
			"2024-05-06T07:08:09.000012345+02:00 stdout P prompt> \n" +
				"2024-05-06T07:08:09.000012345+02:00 stdout F \n" +
				"2024-05-06T07:08:09.000012345+02:00 stdout F \n"},
		{"json", DriverJSONFile, []write{{Stdout, "a \"b\"\t\\\n"}, {Stderr, "part"}, {Stdout, "\xff\x01é\n"}},
			`{"log":"a \"b\"\t\\\n","stream":"stdout","time":"2024-05-06T05:08:09.000012345Z"}` + "\n" +
				`{"log":"part","stream":"stderr","time":"2024-05-06T05:08:09.000012345Z"}` + "\n" +
				`{"log":"` + "\uFFFD" + `\u0001é\n","stream":"stdout","time":"2024-05-06T05:08:09.000012345Z"}` + "\n"},
		{"none", DriverNone, []write{{Stdout, "x\n"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sub", "ctr.log")
			w := openAt(t, Options{Driver: tt.driver, Path: path})
			for _, x := range tt.writes {
				w.Write(x.s, []byte(x.text))
			}
			got, err := os.ReadFile(path)
			if err != nil && tt.want != "" {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("log holds\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestWriterSplitsLongLines(t *testing.T) {
	for _, driver := range []string{DriverK8sFile, DriverJSONFile} {
		t.Run(driver, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "ctr.log")
			w := openAt(t, Options{Driver: driver, Path: path})
			// Odd, so that some character straddles each cut.
			want := "x" + strings.Repeat("é", 40000) + "\n"
			w.Write(Stdout, []byte(want))
			var out bytes.Buffer
			if err := Show(t.Context(), &out, &out, []Source{{Driver: driver, Path: path}}, ReadOptions{Tail: -1}); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("a line of %d bytes came back as %d bytes, equal: %t", len(want), out.Len(), out.String() == want)
			}
			b, _ := os.ReadFile(path)
			for _, line := range strings.SplitAfter(string(b), "\n") {
				if len(line) > MaxPart+200 {
					t.Errorf("an entry of %d bytes", len(line))
				}
			}
		})
	}
}

func TestWriterKeepsToItsSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	w := openAt(t, Options{Path: path, MaxSizeBytes: 1000})
	var many bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&many, "line %d\n", i)
	}
	w.Write(Stdout, many.Bytes())
	w.Write(Stdout, []byte("last\n"))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 1000 || !bytes.HasSuffix(b, []byte(" stdout F last\n")) || !bytes.HasPrefix(b, []byte("2024-")) {
		t.Errorf("log of %d bytes, want at most 1000 and the last line at its end:\n%s", len(b), b)
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) != 1 {
		t.Errorf("files left: %v", left)
	}
}

func TestWriterGoesOnBehindATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ctr.log")
	torn := "2024-05-06T07:08:09.000012345+02:00 stdout F to"
	if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	w := openAt(t, Options{Path: path})
	w.Write(Stdout, []byte("next\n"))
	b, _ := os.ReadFile(path)
	if want := torn + "\n2024-05-06T07:08:09.000012345+02:00 stdout F next\n"; string(b) != want {
		t.Errorf("log holds %q, want %q", b, want)
	}
}

// TestWriterDiskFull puts /dev/full, where each write fails as on a full disk,
// in the file's place for a while.
func TestWriterDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	path := filepath.Join(t.TempDir(), "ctr.log")
	var notes []string
	w := openAt(t, Options{Path: path, Note: func(s string) { notes = append(notes, s) }})
	w.Write(Stdout, []byte("before\n"))
	disk := w.f
	w.f = full
	for range 3 {
		w.Write(Stdout, []byte("lost\n"))
	}
	w.f = disk
	full.Close()
	w.Write(Stdout, []byte("after\n"))
	b, _ := os.ReadFile(path)
	if s := string(b); strings.Contains(s, "lost") || !strings.HasSuffix(s, "stdout F after\n") {
		t.Errorf("log holds %q", s)
	}
	if len(notes) != 2 || !strings.Contains(notes[0], "no space left") || !strings.Contains(notes[1], "15 bytes") {
		t.Errorf("notes %q, want one of the full disk and one of 15 bytes missing", notes)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, driver, path, want string }{
		{"pipe", "", pipe, "give the path of a file"},
		{"directory", "", dir, "is a directory"},
		{"driver", "syslog", dir + "/x", "use k8s-file, json-file or none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(Options{Driver: tt.driver, Path: tt.path})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open(%s, %s) = %v, want an error with %q", tt.driver, tt.path, err, tt.want)
			}
		})
	}
	w, err := Open(Options{Path: os.DevNull})
	if err != nil {
		t.Fatalf("a log to %s: %v", os.DevNull, err)
	}
	w.Write(Stdout, []byte("x\n"))
	w.Close()
}

func BenchmarkWriter(b *testing.B) {
	chunk := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), 64<<10/80)
	for _, driver := range []string{DriverK8sFile, DriverJSONFile} {
		b.Run(driver, func(b *testing.B) {
			w, err := Open(Options{Driver: driver, Path: filepath.Join(b.TempDir(), "ctr.log"), MaxSizeBytes: 64 << 20})
			if err != nil {
				b.Fatal(err)
			}
			defer w.Close()
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				w.Write(Stdout, chunk)
			}
		})
	}
}
