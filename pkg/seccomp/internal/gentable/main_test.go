package main

import (
	"bytes"
	"os"
	"testing"
)

// TestTableIsCurrent fails when go.mod has another golang.org/x/sys than the
// table was made from: run go generate ./pkg/seccomp.
func TestTableIsCurrent(t *testing.T) {
	dir, version, err := xsys()
	if err != nil {
		t.Skipf("no module cache: %v", err)
	}
	got, err := render(dir, version)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("table.go is not what golang.org/x/sys %s gives: run go generate ./pkg/seccomp", version)
	}
}
