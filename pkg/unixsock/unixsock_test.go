package unixsock

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListenAndDial(t *testing.T) {
	for _, tt := range []struct {
		name string
		dir  string
	}{
		{"short path", "d"},
		{"path of more than 107 bytes", strings.Repeat("long/", 40)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), tt.dir)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "sock")
			if err := os.WriteFile(path, nil, 0o644); err != nil { // a stale one
				t.Fatal(err)
			}
			l, err := Listen(path)
			if err != nil {
				t.Fatalf("Listen(%d bytes of path): %v", len(path), err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "hello")
				c.Close()
			}()
			c, err := Dial(t.Context(), path)
			if err != nil {
				t.Fatalf("Dial: %v", err)
			}
			defer c.Close()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != "hello" {
				t.Errorf("read %q, %v; want hello", got, err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("socket mode %v, %v; want 0600", info.Mode(), err)
			}
		})
	}
}
