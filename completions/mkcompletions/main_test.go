package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"vpod/pkg/cli"
)

func TestScriptsAreUpToDate(t *testing.T) {
	made := files()
	for _, shell := range cli.Shells() {
		file, ok := made[shell]
		if !ok {
			t.Errorf("no file for the script of %s", shell)
			continue
		}
		var want bytes.Buffer
		if err := cli.GenerateCompletion(&want, shell); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Errorf("completions/%s is out of date: run make completions", file)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir); err != nil {
		t.Fatal(err)
	}
	for _, file := range files() {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}
