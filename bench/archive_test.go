package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestWriteArchive(t *testing.T) {
	dir := t.TempDir()
	layer, archive := filepath.Join(dir, "layer"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(layer, []byte("a layer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeArchive(archive, "localhost/x:1", []string{layer}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	var config struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("a layer")))
	if manifest[0].RepoTags[0] != "localhost/x:1" || string(files[manifest[0].Layers[0]]) != "a layer" || config.RootFS.DiffIDs[0] != sum {
		t.Errorf("manifest %+v, config %+v", manifest, config)
	}
}

func TestManyFiles(t *testing.T) {
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	if err := manyFiles(tw, "small"); err != nil {
		t.Fatal(err)
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	files, directories := 0, 0
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		if h.Typeflag == tar.TypeDir {
			directories++
		} else if files++; h.Size < 1 || h.Size > 4095 {
			t.Fatalf("%s has %d bytes", h.Name, h.Size)
		}
	}
	if files != smallFiles || directories != smallFiles/100+1 {
		t.Errorf("%d files, %d directories", files, directories)
	}
}

// TestContent holds what the documents say of how it compresses.
func TestContent(t *testing.T) {
	packed := func(b []byte) float64 {
		var out bytes.Buffer
		zw := gzip.NewWriter(&out)
		if _, err := zw.Write(b); err != nil {
			t.Fatal(err)
		}
		zw.Close()
		return float64(out.Len()) / float64(len(b))
	}
	const n = 1 << 20
	if got := packed(noise(1, n)); got < 0.99 {
		t.Errorf("noise compresses to %.2f", got)
	}
	if got := packed(words(n)); got < 0.3 || got > 0.6 {
		t.Errorf("words compress to %.2f, want about a half", got)
	}
	if len(words(n)) != n || !bytes.Equal(words(n), words(n)) || !bytes.Equal(noise(1, n), noise(1, n)) {
		t.Error("the content is not always the same")
	}
}
