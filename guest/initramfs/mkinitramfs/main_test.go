package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func writeAgent(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRunWritesArchive(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "initramfs.cpio")
	if err := run([]string{"-agent", writeAgent(t, "agent one"), "-o", out}, io.Discard); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, []byte("agent one")) {
		t.Error("the archive does not hold the agent")
	}
	info, err := os.Stat(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o644 {
		t.Errorf("mode %o, want 644", got)
	}
	assertOnly(t, dir, "initramfs.cpio")
}

func TestRunLeavesSameArchiveAlone(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "initramfs.cpio")
	past := time.Unix(1000, 0)
	for _, step := range []struct {
		name    string
		agent   string
		touched bool
	}{
		{name: "first", agent: "agent one", touched: true},
		{name: "same agent", agent: "agent one", touched: false},
		{name: "other agent", agent: "agent two", touched: true},
	} {
		if err := run([]string{"-agent", writeAgent(t, step.agent), "-o", out}, io.Discard); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		info, err := os.Stat(out)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if touched := !info.ModTime().Equal(past); touched != step.touched {
			t.Errorf("%s: rewritten %v, want %v", step.name, touched, step.touched)
		}
		if err := os.Chtimes(out, past, past); err != nil {
			t.Fatal(err)
		}
	}
	assertOnly(t, dir, "initramfs.cpio")
}

func TestRunErrors(t *testing.T) {
	agent := writeAgent(t, "agent")
	empty := writeAgent(t, "")
	tests := []struct {
		name string
		args func(dir string) []string
	}{
		{name: "no flags", args: func(string) []string { return nil }},
		{name: "no output", args: func(string) []string { return []string{"-agent", agent} }},
		{name: "stray argument", args: func(d string) []string { return []string{"-agent", agent, "-o", d + "/out", "x"} }},
		{name: "unknown flag", args: func(string) []string { return []string{"-x"} }},
		{name: "agent missing", args: func(d string) []string { return []string{"-agent", d + "/none", "-o", d + "/out"} }},
		{name: "agent is a directory", args: func(d string) []string { return []string{"-agent", d, "-o", d + "/out"} }},
		{name: "agent empty", args: func(d string) []string { return []string{"-agent", empty, "-o", d + "/out"} }},
		{name: "no such directory", args: func(d string) []string { return []string{"-agent", agent, "-o", d + "/none/out"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			args := tt.args(dir)
			if err := run(args, io.Discard); err == nil {
				t.Errorf("run(%q) succeeded, want an error", args)
			}
			assertOnly(t, dir)
		})
	}
}

// assertOnly fails when dir holds anything but the named files.
func assertOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(names) {
		t.Fatalf("%s holds %q, want %q", dir, got, names)
	}
	for i := range names {
		if got[i] != names[i] {
			t.Errorf("%s holds %q, want %q", dir, got, names)
		}
	}
}
