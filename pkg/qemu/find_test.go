package qemu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, Program)
	if err := os.WriteFile(binary, []byte("#!/bin/sh\necho QEMU emulator version 9.1.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	notExecutable := filepath.Join(dir, "text")
	write(t, notExecutable, nil)

	t.Setenv("PATH", dir)
	for _, path := range []string{"", Program, binary} {
		if got, err := Find(path); err != nil || got != binary {
			t.Errorf("Find(%q) = %q, %v; want %q", path, got, err, binary)
		}
	}
	t.Setenv("PATH", "/nonexistent")
	for _, path := range []string{"", "/no/such/qemu", notExecutable} {
		_, err := Find(path)
		var missing *NotFoundError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "qemu-system-x86") {
			t.Errorf("Find(%q): %v; want a NotFoundError that names the package", path, err)
		}
	}
}

func TestQueryVersion(t *testing.T) {
	script := func(body string) string {
		path := filepath.Join(t.TempDir(), "qemu")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	v, err := QueryVersion(t.Context(), script(`echo "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"; echo Copyright`))
	want := Version{7, 2, 22, "7.2.22 (Debian 1:7.2+dfsg-7)"}
	if err != nil || v != want || v.String() != "7.2.22" || !v.Supported() {
		t.Errorf("version %+v, %v; want %+v", v, err, want)
	}
	for _, body := range []string{"echo hello", "exit 1", "true", "echo QEMU emulator version x.y.z", "echo QEMU emulator version 7.2.99999999999999999999"} {
		if v, err := QueryVersion(t.Context(), script(body)); err == nil {
			t.Errorf("%q: version %+v, want an error", body, v)
		}
	}
}

func TestSupported(t *testing.T) {
	for _, tt := range []struct {
		major, minor int
		want         bool
	}{{6, 9, false}, {7, 1, false}, {7, 2, true}, {8, 0, true}} {
		if got := (Version{Major: tt.major, Minor: tt.minor}).Supported(); got != tt.want {
			t.Errorf("%d.%d supported = %v, want %v", tt.major, tt.minor, got, tt.want)
		}
	}
}
