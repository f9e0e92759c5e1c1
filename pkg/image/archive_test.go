package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestSaveAndLoad(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	for _, format := range Formats() {
		t.Run(string(format), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			if err := s.Save(t.Context(), SaveOptions{Format: format, Names: []string{"demo:1"}, Output: out}); err != nil {
				t.Fatal(err)
			}
			other := newStore(t, "vfs")
			names, err := other.Load(t.Context(), out, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := "localhost/demo:1"
			if format == DockerDir { // it has no place for a name
				want = "sha256:"
			}
			if len(names) != 1 || !strings.HasPrefix(names[0], want) {
				t.Fatalf("loaded %q, want %q", names, want)
			}
			got, err := other.Lookup(t.Context(), names[0])
			if err != nil {
				t.Fatal(err)
			}
			if got.Config.User != img.Config.User || !slices.Equal(got.Layers, img.Layers) {
				t.Errorf("loaded\n have %+v\n want %+v", got, img)
			}
			entries, err := os.ReadDir(filepath.Dir(out))
			if err != nil || len(entries) != 1 {
				t.Errorf("left beside the output: %v, %v", entries, err)
			}
		})
	}
}

// An archive has no name before it is whole, is readable to whom the umask says, and goes
// where a link leads.
func TestSaveToFile(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	defer syscall.Umask(syscall.Umask(0o077))
	for _, format := range []Format{DockerArchive, OCIArchive} {
		dir := t.TempDir()
		out := filepath.Join(dir, "link")
		if err := os.Symlink("real", out); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		o := SaveOptions{Format: format, Output: out}
		err := o.write(t.TempDir(), func(path string) error {
			if err := os.WriteFile(path, []byte("half"), 0o600); err != nil {
				return err
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("%s: whoever is killed here leaves %v, %v", format, entries, err)
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", format, err)
		}
		if err := s.Save(t.Context(), SaveOptions{Format: format, Names: []string{"demo:1"}, Output: out}); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(filepath.Join(dir, "real")); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: made %v, %v", format, info, err)
		}
		if link, err := os.Readlink(out); err != nil || link != "real" {
			t.Errorf("%s: the link leads to %q, %v", format, link, err)
		}
	}
}

func TestSaveSeveralAndStream(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	other := testImage{ref: "localhost/other:1", layers: [][]entry{{{name: "x", data: "x"}}}}
	if _, err := s.Load(t.Context(), writeLayout(t, other), nil); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := s.Save(t.Context(), SaveOptions{Names: []string{"demo:1", "other:1"}, Multi: true, Writer: &buf}); err != nil {
		t.Fatal(err)
	}
	names, err := newStore(t, "vfs").LoadReader(t.Context(), bytes.NewReader(buf.Bytes()), nil)
	if err != nil || !slices.Equal(names, []string{"localhost/demo:1", "localhost/other:1"}) {
		t.Errorf("loaded %q, %v", names, err)
	}
	buf.Reset()
	if err := s.Save(t.Context(), SaveOptions{Names: []string{"demo:1", "more:tags"}, Writer: &buf}); err != nil {
		t.Fatal(err)
	}
	names, err = newStore(t, "vfs").LoadReader(t.Context(), &buf, nil)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"localhost/demo:1", "localhost/more:tags"}) {
		t.Errorf("loaded %q, %v", names, err)
	}
}

func TestSaveRefused(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	dir := t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.WriteFile(full, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		opts SaveOptions
		want string
	}{
		{name: "unknown image", opts: SaveOptions{Names: []string{"nosuch"}, Output: dir + "/new"}, want: "nosuch: image not known"},
		{name: "no image", opts: SaveOptions{Output: dir + "/new"}, want: "no image named"},
		{name: "format", opts: SaveOptions{Format: "zip", Names: []string{"demo:1"}, Output: dir + "/new"}, want: `unknown format "zip"`},
		{name: "several as oci", opts: SaveOptions{Format: OCIArchive, Names: []string{"demo:1", "x"}, Multi: true, Output: dir + "/new"}, want: "docker-archive"},
		{name: "tags in oci", opts: SaveOptions{Format: OCIArchive, Names: []string{"demo:1", "x"}, Output: dir + "/new"}, want: "docker-archive"},
		{name: "compress", opts: SaveOptions{Names: []string{"demo:1"}, Output: dir + "/new", Compress: true}, want: "docker-dir"},
		{name: "directory to stream", opts: SaveOptions{Format: OCIDir, Names: []string{"demo:1"}, Writer: io.Discard}, want: "--output"},
		{name: "nowhere", opts: SaveOptions{Names: []string{"demo:1"}}, want: "no output"},
		{name: "existing file", opts: SaveOptions{Names: []string{"demo:1"}, Output: full}, want: "not empty"},
		{name: "directory for file", opts: SaveOptions{Names: []string{"demo:1"}, Output: dir}, want: "is a directory"},
		{name: "no directory", opts: SaveOptions{Names: []string{"demo:1"}, Output: dir + "/a/b/c"}, want: "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantErr(t, s.Save(t.Context(), tt.opts), tt.want)
		})
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if err := s.Save(t.Context(), SaveOptions{Names: []string{"demo:1"}, Output: "/dev/full"}); err == nil {
		t.Error("saved to a full disk")
	}
}

func TestLoadRefused(t *testing.T) {
	s := newStore(t, "vfs")
	dir := t.TempDir()
	img := pullDemo(t, s, "localhost/demo:1")
	whole := filepath.Join(dir, "whole.tar")
	if err := s.Save(t.Context(), SaveOptions{Format: OCIArchive, Names: []string{"demo:1"}, Output: whole}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(t.Context(), []string{img.ID}, RemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	badLayer := writeLayout(t, demoImage("localhost/bad:1"))
	blobs, _ := filepath.Glob(filepath.Join(badLayer, "blobs/sha256/*"))
	for _, blob := range blobs {
		if raw, _ := os.ReadFile(blob); len(raw) > 2 && raw[0] == 0x1f {
			raw[len(raw)/2] ^= 0xff
			os.WriteFile(blob, raw, 0o600)
		}
	}
	tests := []struct {
		name string
		path string
		want string
	}{
		{name: "missing", path: filepath.Join(dir, "nosuch"), want: "no such file"},
		{name: "empty", path: write("empty", nil), want: "not an image"},
		{name: "text", path: write("text", []byte(strings.Repeat("hello\n", 500))), want: "not an image"},
		{name: "half", path: write("half", data[:len(data)/2]), want: "damaged"},
		{name: "other tar", path: write("other", tarLayer(t, baseLayer)), want: "neither manifest.json nor oci-layout"},
		{name: "empty directory", path: t.TempDir(), want: "not an image"},
		{name: "damaged layer", path: badLayer, want: "load " + badLayer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names, err := s.Load(t.Context(), tt.path, nil)
			if err == nil {
				t.Fatalf("loaded %q", names)
			}
			wantErr(t, err, tt.want)
			t.Log(err)
		})
	}
	if list, err := s.List(t.Context(), ListOptions{All: true}); err != nil || len(list) != 0 {
		t.Errorf("left in the store: %+v, %v", list, err)
	}
	if layers, err := s.store.Layers(); err != nil || len(layers) != 0 {
		t.Errorf("layers left: %+v, %v", layers, err)
	}
}

func TestLoadLayoutWithSeveral(t *testing.T) {
	s := newStore(t, "vfs")
	a, b := demoImage("localhost/a:1"), demoImage("localhost/b:1")
	b.layers = append(b.layers, []entry{{name: "b", data: "b"}})
	names, err := s.Load(t.Context(), writeLayout(t, a, b), nil)
	if err != nil || !slices.Equal(names, []string{"localhost/a:1", "localhost/b:1"}) {
		t.Errorf("loaded %q, %v", names, err)
	}
	a.ref = ""
	_, err = s.Load(t.Context(), writeLayout(t, a, b), nil)
	wantErr(t, err, "has no name")
}

// What is no file is called what the user calls it, not by the file it is kept in meanwhile.
func TestLoadFromElsewhere(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	var archive bytes.Buffer
	if err := s.Save(t.Context(), SaveOptions{Names: []string{"demo:1"}, Writer: &archive}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/x.tar":
			w.Write(archive.Bytes())
		case "/text":
			io.WriteString(w, "no archive")
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	if names, err := s.Load(t.Context(), server.URL+"/x.tar", nil); err != nil || !slices.Equal(names, []string{"localhost/demo:1"}) {
		t.Errorf("loaded %q, %v", names, err)
	}
	_, err := s.Load(t.Context(), server.URL+"/text", nil)
	wantErr(t, err, "load "+server.URL+"/text: not an image archive")
	_, err = s.Load(t.Context(), server.URL+"/none", nil)
	wantErr(t, err, "404")
	_, err = s.Load(t.Context(), "/dev/null", nil)
	wantErr(t, err, "load /dev/null: not an image archive")
	_, err = s.LoadReader(t.Context(), strings.NewReader("no archive"), nil)
	wantErr(t, err, "load standard input: not an image archive")
	server.Close()
	_, err = s.Load(t.Context(), server.URL+"/x.tar", nil)
	wantErr(t, err, "is the address right")
}

func TestLoadCancelled(t *testing.T) {
	s := newStore(t, "vfs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.LoadReader(ctx, strings.NewReader("x"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("LoadReader: %v", err)
	}
	if _, err := s.Load(ctx, writeLayout(t, demoImage("x")), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Load: %v", err)
	}
}
