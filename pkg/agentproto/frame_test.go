package agentproto

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFrameRoundTrip(t *testing.T) {
	var buf bytes.Buffer
	want := Request{Op: OpWait, Container: strings.Repeat("a", 64), Process: InitProcess}
	if err := WriteFrame(&buf, want); err != nil {
		t.Fatal(err)
	}
	buf.WriteString("raw bytes after the frame")
	var got Request
	if err := ReadFrame(&buf, MaxRequest, &got); err != nil {
		t.Fatal(err)
	}
	if got.Op != want.Op || got.Container != want.Container || got.Process != want.Process {
		t.Errorf("ReadFrame = %+v, want %+v", got, want)
	}
	if rest := buf.String(); rest != "raw bytes after the frame" {
		t.Errorf("ReadFrame read past its frame; left %q", rest)
	}
}

func TestReadFrameRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   string
		want error
	}{
		{"nothing", "", io.EOF},
		{"half a length", "\x00\x00", io.ErrUnexpectedEOF},
		{"half a body", "\x00\x00\x00\x05{\"", io.ErrUnexpectedEOF},
		{"no body", "\x00\x00\x00\x05", io.ErrUnexpectedEOF},
		{"too long", "\xff\xff\xff\xff{}", ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var v Reply
			if err := ReadFrame(strings.NewReader(tt.in), 64, &v); !errors.Is(err, tt.want) {
				t.Errorf("ReadFrame(%q) = %v, want %v", tt.in, err, tt.want)
			}
		})
	}
}

func TestReadPreamble(t *testing.T) {
	p := Preamble(0x0102030405060708)
	for _, tt := range []struct {
		name    string
		before  string
		limit   int
		wantErr bool
	}{
		{"at once", "", 0, false},
		{"after noise", "noise\x00\x00", 0, false},
		{"after half a magic", "VPOD-AGENTVPOD-", 0, false},
		{"beyond the bound", strings.Repeat("x", 100), 50, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := strings.NewReader(tt.before + string(p[:]) + "tail")
			nonce, err := ReadPreamble(r, tt.limit)
			if (err != nil) != tt.wantErr {
				t.Fatalf("ReadPreamble: %v, want error: %t", err, tt.wantErr)
			}
			if tt.wantErr {
				return
			}
			rest, _ := io.ReadAll(r)
			if nonce != 0x0102030405060708 || string(rest) != "tail" {
				t.Errorf("nonce %x, rest %q", nonce, rest)
			}
		})
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\x00\x00\x00\x1f{\"error\":{\"code\":\"x\"},\"body\":1}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v Reply
		_ = ReadFrame(bytes.NewReader(b), MaxReply, &v)
		_, _ = ReadPreamble(bytes.NewReader(b), 1024)
	})
}
