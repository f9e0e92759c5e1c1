package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	for _, n := range []int64{0, 1, 64, 65536, 100_000} {
		var b bytes.Buffer
		if err := write(&b, n); err != nil || int64(b.Len()) != n {
			t.Errorf("write(%d) wrote %d bytes, %v", n, b.Len(), err)
		}
	}
	var b bytes.Buffer
	if err := write(&b, 640); err != nil {
		t.Fatal(err)
	}
	if lines := bytes.SplitAfter(b.Bytes(), []byte("\n")); len(lines) != 11 || len(lines[0]) != 64 {
		t.Errorf("%d lines, the first of %d bytes", len(lines)-1, len(lines[0]))
	}
}

func TestReadAndWalk(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "file")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, 10*4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := readAll(path); err != nil || v <= 0 {
		t.Errorf("readAll = %v, %v", v, err)
	}
	if _, err := readRandom(path, 10); err != nil {
		t.Errorf("readRandom: %v", err)
	}
	if _, err := readRandom(path, 11); err == nil {
		t.Error("readRandom: no error for a file that is too small")
	}
	if _, err := walk(dir); err != nil {
		t.Errorf("walk: %v", err)
	}
	if _, err := walk(filepath.Join(dir, "none")); err == nil {
		t.Error("walk: no error for a directory that is missing")
	}
}

func TestRun(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"print"}, {"print", "x"}, {"spin", "-1"}} {
		if err := run(args); err == nil {
			t.Errorf("run(%q): no error", args)
		}
	}
	if spin(1000) == spin(1001) {
		t.Error("spin does nothing")
	}
}
