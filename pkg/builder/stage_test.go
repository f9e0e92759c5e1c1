package builder

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/containers/buildah/define"
)

func TestOneStage(t *testing.T) {
	for content, want := range map[string]bool{
		"FROM a\nRUN b":                        true,
		"# FROM x\nARG V=1\n  from a:${V}\n":   true,
		"FROM\\\n a\nFROM b":                   false,
		"\ufeffFROM a\nFROM b":                 false,
		"FROM a\nRUN <<E\nFROM here\nE":        false, // it could be told, and need not be
		"FROM a AS one\r\nFROM a\r\nCOPY . .":  false,
		"":                                     false,
		"FROM a\nRUN echo from\nRUN echo FROM": true,
	} {
		name := filepath.Join(t.TempDir(), "Containerfile")
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := oneStage([]string{name}); got != want {
			t.Errorf("oneStage(%q) = %v", content, got)
		}
		if oneStage([]string{name, name}) {
			t.Errorf("two files of %q have one stage", content)
		}
	}
	for _, name := range []string{"/dev/null", "https://example.org/Containerfile", t.TempDir()} {
		if oneStage([]string{name}) {
			t.Errorf("%s is said to have one stage", name)
		}
	}
}

func TestStageWatch(t *testing.T) {
	for line, want := range map[string]int{
		"STEP 1/3: FROM busybox\n":                      1,
		"STEP 1: FROM busybox\n":                        1,
		"[2/3] STEP 1/4: FROM x AS y\n":                 1,
		"[linux/arm64] [1/2] STEP 1/2: FROM x\n":        1,
		"said by a step\nSTEP 1/2: FROM scratch\n":      1,
		"STEP 2/3: RUN echo FROM\n":                     0,
		"STEP 11/12: RUN x\n":                           0,
		"COMMIT localhost/x\n":                          0,
		"STEP 1/1: RUN there is no stage without FROM ": 0,
	} {
		var out bytes.Buffer
		begun := 0
		w := stageWatch{to: &out, begun: func() { begun++ }}
		if n, err := w.Write([]byte(line)); n != len(line) || err != nil || out.String() != line {
			t.Errorf("Write(%q) = %d, %v, and %q came through", line, n, err, out.String())
		}
		if begun != want {
			t.Errorf("%q began %d stages, want %d", line, begun, want)
		}
	}
}

// Steps of stages that are built at once, or cannot be told apart, share no machine.
func TestMachinesNotShared(t *testing.T) {
	two, none := 2, 0
	for name, o := range map[string]define.BuildOptions{
		"two jobs": {Jobs: &two}, "any number of jobs": {Jobs: &none}, "quiet, from nowhere": {Quiet: true},
	} {
		if err := (&job{dir: t.TempDir()}).shareMachines(&o, nil); err != nil || len(o.RuntimeArgs) > 0 || o.Out != nil {
			t.Errorf("%s: %v, arguments %q", name, err, o.RuntimeArgs)
		}
	}
	var o define.BuildOptions
	b := &job{dir: "/x"}
	if err := b.shareMachines(&o, nil); err != nil || len(o.RuntimeArgs) != 2 || o.RuntimeArgs[1] != "/x/keeper" {
		t.Errorf("%v, arguments %q", err, o.RuntimeArgs)
	}
	if w, ok := o.Out.(*stageWatch); !ok || w.to != os.Stdout {
		t.Errorf("progress goes to %+v", o.Out)
	}
}

// A step that prints what looks like stages starts no processes without end.
func TestKeepersAreBounded(t *testing.T) {
	dir := t.TempDir()
	program, calls := filepath.Join(dir, "vpod"), filepath.Join(dir, "calls")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho called >> "+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	b := &job{dir: dir, place: Place{Vpod: program}}
	defer b.endKeepers()
	for range maxKeepers + 20 {
		b.beginStage()
		b.keepers.waiting.Wait() // where each has ended by itself, none is ended
	}
	if said, err := os.ReadFile(calls); err != nil || bytes.Count(said, []byte("called")) != maxKeepers {
		t.Errorf("%d keepers were started, %v; want %d", bytes.Count(said, []byte("called")), err, maxKeepers)
	}
	if _, err := os.Lstat(b.keeperDir()); !os.IsNotExist(err) {
		t.Errorf("steps are still led to the last one: %v", err)
	}
}
