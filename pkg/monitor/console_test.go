package monitor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTailFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	f, err := openTailFile(path, 4096)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		fmt.Fprintf(f, "line %d\n", i)
	}
	f.Write(bytes.Repeat([]byte("y"), 10_000))
	f.Write([]byte("\nend\n"))
	info, err := os.Stat(path)
	if err != nil || info.Size() > 4096 {
		t.Errorf("%d bytes on disk, %v", info.Size(), err)
	}
	if s := string(f.tail(5)); s != "\nend\n" {
		t.Errorf("tail %q", s)
	}
	f.setMark()
	if b := f.tail(100); len(b) != 0 {
		t.Errorf("tail behind the mark %q", b)
	}
	f.Write([]byte("new"))
	if s := string(f.tail(100)); s != "new" {
		t.Errorf("tail behind the mark %q", s)
	}
	f.Close()
	f, err = openTailFile(path, 4096)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write([]byte(" more"))
	if b, _ := os.ReadFile(path); !strings.HasSuffix(string(b), "\nend\nnew more") {
		t.Errorf("file ends in %q", b[max(0, len(b)-20):])
	}
}

func TestConsoleLines(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"nothing", "\r\n\n", nil},
		{"plain", "one\r\ntwo", []string{"one", "two"}},
		{"escapes", "\x1b[2J\x1b[31mred\x1b[0m\n\x1b]0;title\x07x\x1bc", []string{"red", "x"}},
		{"binary", "a\x00\xff\x9bb\n", []string{"a ??b"}},
		{"long", strings.Repeat("z", 5000), []string{strings.Repeat("z", consoleQuoteLine-len(" …")) + "…"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := consoleLines([]byte(tt.in)); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("consoleLines(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	if got := consoleLines([]byte(strings.Repeat("x\n", 100))); len(got) != consoleQuoteLines {
		t.Errorf("%d lines quoted", len(got))
	}
}

func FuzzConsole(f *testing.F) {
	f.Add([]byte("\x1b[2J\x1b[31mKernel panic - not syncing\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		quote := quoteConsole(b) + panicLine(b)
		for _, r := range quote {
			if r < ' ' && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				t.Fatalf("%q gives %q", b, quote)
			}
		}
		if len(quote) > (consoleQuoteLines+2)*(consoleQuoteLine+4)+100 {
			t.Fatalf("a quote of %d bytes", len(quote))
		}
	})
}

func FuzzAttachFrames(f *testing.F) {
	f.Add([]byte("i\x00\x00\x00\x01x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		var buf []byte
		for {
			_, payload, err := ReadFrame(r, buf)
			if err != nil {
				return
			}
			buf = payload[:cap(payload)]
		}
	})
}
