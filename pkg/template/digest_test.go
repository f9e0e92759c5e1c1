package template

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// memoryFile is a file of some pages of data between zeros, size bytes long, of
// which holes are made where sparse says so.
func memoryFile(t *testing.T, content []byte, sparse bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ram")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, pageBytes)
	for at := 0; at < len(content); at += pageBytes {
		page := content[at:min(at+pageBytes, len(content))]
		if sparse && bytes.Equal(page, zero[:len(page)]) {
			continue
		}
		if _, err := f.WriteAt(page, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// memoryContent is 4 MiB and a bit, most of it zero.
func memoryContent() []byte {
	content := make([]byte, 4<<20+100)
	random := rand.New(rand.NewPCG(1, 2))
	for _, page := range []int{0, 1, 7, 300, 301, 1023} {
		for i := range pageBytes {
			content[page*pageBytes+i] = byte(random.Uint32())
		}
	}
	content[1500*pageBytes%len(content)] = 1
	content[len(content)-1] = 9 // in a page that is not whole
	return content
}

func TestDigestOfSparseAndDenseFilesIsTheSame(t *testing.T) {
	content := memoryContent()
	sparse, err := digest(memoryFile(t, content, true))
	if err != nil {
		t.Fatal(err)
	}
	dense, err := digest(memoryFile(t, content, false))
	if err != nil {
		t.Fatal(err)
	}
	if sparse != dense {
		t.Errorf("digest of a sparse file %+v, of a dense one %+v", sparse, dense)
	}
	if sparse.SizeBytes != int64(len(content)) || sparse.DataBytes < 6*pageBytes || sparse.DataBytes > 9*pageBytes {
		t.Errorf("digest %+v of %d bytes", sparse, len(content))
	}
	empty, err := digest(memoryFile(t, make([]byte, 1<<20), true))
	if err != nil || empty.DataBytes != 0 {
		t.Errorf("digest of zeros: %+v, %v", empty, err)
	}
	if _, err := digest(filepath.Join(t.TempDir(), "nosuch")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("digest of nothing: %v", err)
	}
}

func TestDigestTellsEveryChange(t *testing.T) {
	content := memoryContent()
	want, err := digest(memoryFile(t, content, true))
	if err != nil {
		t.Fatal(err)
	}
	// Any bit of a page with data, of a zero page, of the last one that is not whole.
	for _, at := range []int{0, 1, pageBytes - 1, pageBytes, 7*pageBytes + 77, 100 * pageBytes, 1023*pageBytes + 4095, len(content) - 2, len(content) - 1} {
		changed := bytes.Clone(content)
		changed[at] ^= 1 << (at % 8)
		if got, err := digest(memoryFile(t, changed, true)); err != nil || got == want {
			t.Errorf("byte %d changed: digest %+v, %v", at, got, err)
		}
	}
	tests := []struct {
		name string
		edit func([]byte) []byte
	}{
		{"shorter", func(c []byte) []byte { return c[:len(c)-1] }},
		{"longer", func(c []byte) []byte { return append(c, 0) }},
		{"a page gone", func(c []byte) []byte { clear(c[7*pageBytes : 8*pageBytes]); return c }},
		{"a page moved", func(c []byte) []byte {
			copy(c[8*pageBytes:], c[7*pageBytes:8*pageBytes])
			clear(c[7*pageBytes : 8*pageBytes])
			return c
		}},
		{"two pages exchanged", func(c []byte) []byte {
			page := bytes.Clone(c[:pageBytes])
			copy(c, c[pageBytes:2*pageBytes])
			copy(c[pageBytes:], page)
			return c
		}},
	}
	for _, tt := range tests {
		if got, err := digest(memoryFile(t, tt.edit(bytes.Clone(content)), true)); err != nil || got == want {
			t.Errorf("%s: digest %+v, %v", tt.name, got, err)
		}
	}
}
