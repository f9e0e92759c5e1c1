package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestImport(t *testing.T) {
	s := newStore(t, "vfs")
	ctx := t.Context()
	archive := tarLayer(t, []entry{{name: "hello", data: "hello"}})
	odd := filepath.Join(t.TempDir(), "odd:name.tar")
	if err := os.WriteFile(odd, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/x.tar" {
			http.NotFound(w, r)
			return
		}
		w.Write(archive)
	}))
	defer server.Close()
	tests := []struct {
		name string
		opts ImportOptions
		err  string
	}{
		{"a file", ImportOptions{Source: odd, Reference: "localhost/a:1", Changes: []string{"CMD x", "ENV A=b"}, Message: "text", Arch: "arm64", Variant: "v8"}, ""},
		{"a stream", ImportOptions{Source: "-", Stdin: bytes.NewReader(archive)}, ""},
		{"a server", ImportOptions{Source: server.URL + "/x.tar"}, ""},
		{"a server's error", ImportOptions{Source: server.URL + "/none"}, "404"},
		{"another scheme", ImportOptions{Source: "file:///etc/passwd"}, "http or https"},
		{"no archive", ImportOptions{Source: "-", Stdin: bytes.NewReader(bytes.Repeat([]byte("no archive"), 100))}, "not a tar archive"},
		{"nothing", ImportOptions{Source: "-", Stdin: bytes.NewReader(nil)}, "import standard input: the archive is empty"},
		{"a directory", ImportOptions{Source: t.TempDir()}, "directory"},
		{"no file", ImportOptions{Source: "/no/such/file"}, "/no/such/file"},
		{"a bad name", ImportOptions{Source: odd, Reference: "UPPER"}, "lowercase"},
		{"a bad instruction", ImportOptions{Source: odd, Changes: []string{"FROM x"}}, "FROM"},
		{"an instruction without effect", ImportOptions{Source: odd, Changes: []string{"ONBUILD RUN x"}}, "ONBUILD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := s.Import(ctx, tt.opts)
			if tt.err != "" {
				wantErr(t, err, tt.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			img, err := s.Lookup(ctx, id)
			if err != nil || len(img.Layers) != 1 {
				t.Fatalf("image %+v, %v", img, err)
			}
			if tt.opts.Reference == "" {
				return
			}
			if !slices.Equal(img.Names, []string{"localhost/a:1"}) || !slices.Equal(img.Config.Env, []string{"A=b"}) || img.Platform() != "linux/arm64/v8" || img.History[0].Comment != "text" {
				t.Errorf("image %+v", img)
			}
		})
	}
}

func TestImportInterrupted(t *testing.T) {
	s := newStore(t, "vfs")
	why := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write(make([]byte, 1<<20))
		w.(http.Flusher).Flush()
		cancel(why)
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := s.Import(ctx, ImportOptions{Source: server.URL + "/x"}); !errors.Is(err, why) {
		t.Errorf("error %v, want %v", err, why)
	}
}

func FuzzCheckTar(f *testing.F) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	w.WriteHeader(&tar.Header{Name: "x", Size: 1, Mode: 0o644})
	w.Write([]byte("x"))
	w.Close()
	f.Add(buf.Bytes())
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("BZh9"))
	f.Add([]byte("\xfd7zXZ\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		_ = checkTar(file) // must return, whatever it says
	})
}
