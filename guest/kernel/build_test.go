// Package kernel has no code of its own: it tests build.sh, against a toy
// source tree that "compiles" in no time. That the real kernel boots is shown
// by the bats suite.
package kernel

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// toyMakefile stands for the kernel's: allnoconfig takes the fragment except
// for one option, vmlinux is some ELF file, and each compilation leaves a line
// in $TOY_LOG. $TOY_FAIL makes it fail, $TOY_SLEEP makes it slow.
const toyMakefile = `
allnoconfig:
	grep -v CONFIG_UNKNOWN "$(KCONFIG_ALLCONFIG)" > .config
	echo CONFIG_FORCED=y >> .config
vmlinux:
	echo compiled >> "$(TOY_LOG)"
	sleep $(TOY_SLEEP)
	test -z "$(TOY_FAIL)"
	cp /bin/true vmlinux
`

// toy is a checkout of this directory with an own cache and a toy source.
type toy struct {
	dir, cache, out, log string
	env                  []string
}

func newToy(t *testing.T, fragment string) *toy {
	t.Helper()
	for _, tool := range []string{"bash", "gcc", "make", "bc", "bison", "flex", "xz", "objcopy", "flock"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine: install what build.sh --needs lists", tool)
		}
	}
	dir := t.TempDir()
	k := &toy{
		dir:   filepath.Join(dir, "guest kernel"), // a space in the path must not matter
		cache: filepath.Join(dir, "cache"),
		out:   filepath.Join(dir, "build", "vmlinux"),
		log:   filepath.Join(dir, "log"),
	}
	script, err := os.ReadFile("build.sh")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(k.dir, "build.sh"), string(script))
	write(t, filepath.Join(k.dir, "config"), fragment)
	write(t, filepath.Join(dir, "linux", "Makefile"), toyMakefile)
	tarball := filepath.Join(dir, "linux.tar.xz")
	if out, err := exec.Command("tar", "-cJf", tarball, "-C", dir, "linux").CombinedOutput(); err != nil {
		t.Fatalf("pack toy source: %v\n%s", err, out)
	}
	k.env = append(os.Environ(), "VPOD_CACHE="+k.cache, "VPOD_LINUX_SOURCE="+tarball,
		"TOY_LOG="+k.log, "TOY_SLEEP=0", "TOY_FAIL=")
	return k
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

// command prepares build.sh with some more environment.
func (k *toy) command(t *testing.T, out string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), filepath.Join(k.dir, "build.sh"), out)
	cmd.Env = append(slices.Clone(k.env), env...)
	return cmd
}

// build runs build.sh and fails the test unless it succeeds as wanted.
func (k *toy) build(t *testing.T, wantOK bool, env ...string) string {
	t.Helper()
	msg, err := k.command(t, k.out, env...).CombinedOutput()
	if (err == nil) != wantOK {
		t.Fatalf("build.sh: %v, want success %v\n%s", err, wantOK, msg)
	}
	return string(msg)
}

// compilations counts how often the toy was compiled.
func (k *toy) compilations() int {
	b, _ := os.ReadFile(k.log)
	return strings.Count(string(b), "compiled\n")
}

// assertTidy fails when the cache or the output directory holds something
// temporary.
func (k *toy) assertTidy(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{filepath.Join(k.cache, ".build.*"), filepath.Join(filepath.Dir(k.out), ".*")} {
		if left, _ := filepath.Glob(pattern); len(left) != 0 {
			t.Errorf("left behind: %q", left)
		}
	}
}

const fragment = "CONFIG_A=y\nCONFIG_NAME=\"x y\"\n# CONFIG_B is not set\n"

func TestBuildOnceThenCached(t *testing.T) {
	k := newToy(t, fragment)
	k.build(t, true)
	if got := k.compilations(); got != 1 {
		t.Fatalf("first call compiled %d times, want 1", got)
	}
	first, err := os.Stat(k.out)
	if err != nil {
		t.Fatal(err)
	}

	k.build(t, true)
	second, err := os.Stat(k.out)
	if err != nil {
		t.Fatal(err)
	}
	if !second.ModTime().Equal(first.ModTime()) {
		t.Error("an output that was up to date has been written again")
	}
	if err := os.Remove(k.out); err != nil {
		t.Fatal(err)
	}
	k.build(t, true)
	if _, err := os.Stat(k.out); err != nil {
		t.Error("the output was not restored from the cache")
	}
	if got := k.compilations(); got != 1 {
		t.Errorf("three calls compiled %d times, want 1", got)
	}
	k.assertTidy(t)
}

func TestBuildAgainWhenFragmentChanges(t *testing.T) {
	k := newToy(t, fragment)
	k.build(t, true)
	write(t, filepath.Join(k.dir, "config"), fragment+"CONFIG_C=y\n")
	k.build(t, true)
	if got := k.compilations(); got != 2 {
		t.Errorf("compiled %d times, want 2", got)
	}
}

func TestBuildWithoutSourceUsesCache(t *testing.T) {
	k := newToy(t, fragment)
	msg := k.build(t, false, "VPOD_LINUX_SOURCE=none")
	if !strings.Contains(msg, "--needs") {
		t.Errorf("error does not say what to do: %s", msg)
	}
	k.build(t, true)
	if err := os.Remove(k.out); err != nil {
		t.Fatal(err)
	}
	k.build(t, true, "VPOD_LINUX_SOURCE=none")
	if _, err := os.Stat(k.out); err != nil {
		t.Error("the output was not restored from the cache")
	}
}

func TestBuildRefusesLinesNotTaken(t *testing.T) {
	k := newToy(t, fragment+"CONFIG_UNKNOWN=y\n# CONFIG_FORCED is not set\n")
	msg := k.build(t, false)
	for _, want := range []string{"wanted: CONFIG_UNKNOWN=y", "wanted: # CONFIG_FORCED is not set"} {
		if !strings.Contains(msg, want) {
			t.Errorf("message does not hold %q:\n%s", want, msg)
		}
	}
	for _, name := range []string{"CONFIG_A", "CONFIG_NAME", "CONFIG_B"} {
		if strings.Contains(msg, name) {
			t.Errorf("message accuses %s, which was taken:\n%s", name, msg)
		}
	}
	if got := k.compilations(); got != 0 {
		t.Errorf("compiled %d times, want 0", got)
	}
	k.assertTidy(t)
}

func TestBuildFailureLeavesNothing(t *testing.T) {
	k := newToy(t, fragment)
	k.build(t, false, "TOY_FAIL=yes")
	if _, err := os.Stat(k.out); err == nil {
		t.Error("a failed build wrote its output")
	}
	k.assertTidy(t)
	k.build(t, true)
}

func TestBuildTwoAtOnceCompileOnce(t *testing.T) {
	k := newToy(t, fragment)
	var wg sync.WaitGroup
	for _, out := range []string{k.out, k.out, k.out + "2"} {
		wg.Go(func() {
			if msg, err := k.command(t, out, "TOY_SLEEP=0.5").CombinedOutput(); err != nil {
				t.Errorf("build.sh %s: %v\n%s", out, err, msg)
			}
		})
	}
	wg.Wait()
	if got := k.compilations(); got != 1 {
		t.Errorf("compiled %d times, want 1", got)
	}
	k.assertTidy(t)
}

func TestBuildInterruptedCleansUp(t *testing.T) {
	k := newToy(t, fragment)
	cmd := k.command(t, k.out, "TOY_SLEEP=60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for k.compilations() == 0 && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted build succeeded")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v to stop, want much less than the compilation", took)
	}
	k.assertTidy(t)
}

// A killed build cannot clean up; the next one does.
func TestBuildRemovesWhatAKilledOneLeft(t *testing.T) {
	k := newToy(t, fragment)
	write(t, filepath.Join(k.cache, ".build.killed", "src", "x"), "")
	k.build(t, true)
	k.assertTidy(t)
}

func TestBuildUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{name: "no argument", code: 2, want: "build.sh OUT"},
		{name: "unknown option", args: []string{"--bogus"}, code: 2, want: "build.sh OUT"},
		{name: "needs", args: []string{"--needs"}, code: 0, want: "linux-source-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "./build.sh", tt.args...)
			out, err := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d (%v), want %d", got, err, tt.code)
			}
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("output does not hold %q:\n%s", tt.want, out)
			}
		})
	}
}
