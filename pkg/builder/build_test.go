package builder

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/containers/buildah/define"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"

	"vpod/pkg/filelock"
)

func TestCheckNetwork(t *testing.T) {
	for network, good := range map[string]bool{"": true, "default": true, "private": true, "none": true, "host": false, "ns:/x": false, "bridge": false} {
		if err := checkNetwork(network); (err == nil) != good {
			t.Errorf("checkNetwork(%q) = %v", network, err)
		}
	}
}

func TestCheckSecurity(t *testing.T) {
	for option, good := range map[string]bool{
		"seccomp=unconfined": true, "seccomp=/profile.json": false, "seccomp=": false, "apparmor=mine": false, "apparmor=unconfined": true,
		"no-new-privileges": true, "label=disable": true, "mask=/proc/x": true,
	} {
		if err := checkSecurity([]string{"label=disable", option}); (err == nil) != good {
			t.Errorf("checkSecurity(%q) = %v", option, err)
		}
	}
}

// To the library "disabled" is a network namespace without anything in it.
func TestAdaptNetwork(t *testing.T) {
	for network, want := range map[string]struct {
		host   bool
		policy define.NetworkConfigurationPolicy
	}{
		"":        {true, define.NetworkEnabled},
		"private": {true, define.NetworkEnabled},
		"none":    {false, define.NetworkDisabled},
	} {
		o := define.BuildOptions{NamespaceOptions: []define.NamespaceOption{{Name: string(specs.NetworkNamespace), Path: "/x"}}}
		new(job).adapt(&o, network)
		namespaces := define.NamespaceOptions(o.NamespaceOptions)
		n := namespaces.Find(string(specs.NetworkNamespace))
		if n == nil || n.Host != want.host || n.Path != "" || o.ConfigureNetwork != want.policy {
			t.Errorf("--network %q: namespace %+v, policy %d; want %+v", network, n, o.ConfigureNetwork, want)
		}
	}
}

func TestExitCode(t *testing.T) {
	step := exec.Command("sh", "-c", "exit 7").Run()
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"a step that fails", fmt.Errorf("building: %w", step), 7},
		{"a step that a signal ended", fmt.Errorf("building: %w", exec.Command("sh", "-c", "kill -9 $$").Run()), failure},
		{"a signal", fmt.Errorf("building: %w", &interruptError{syscall.SIGTERM}), 143},
		{"anything else", errors.New("no such file"), failure},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exit code %d of %v, want %d", got, tt.err, tt.want)
			}
		})
	}
}

func TestExplainForeign(t *testing.T) {
	type platform = struct{ OS, Arch, Variant string }
	step := fmt.Errorf("while running runtime: %w", &exec.ExitError{})
	foreign := []platform{{Arch: runtime.GOARCH}, {OS: "linux", Arch: "s390x"}}
	if err := explainForeign(step, foreign); !errors.Is(err, step) || !strings.Contains(err.Error(), "for linux/s390x a RUN cannot work") {
		t.Errorf("a step for another architecture: %v", err)
	}
	other := errors.New("no such file")
	for _, tt := range []struct {
		err       error
		platforms []platform
	}{{step, nil}, {step, []platform{{}, {Arch: runtime.GOARCH}}}, {other, foreign}, {nil, foreign}} {
		if err := explainForeign(tt.err, tt.platforms); !errors.Is(err, tt.err) || err != nil && err.Error() != tt.err.Error() {
			t.Errorf("explainForeign(%v, %v) = %v", tt.err, tt.platforms, err)
		}
	}
}

// The program reads its own options besides the library's, and no others.
func TestCommandOptions(t *testing.T) {
	cmd := Command()
	if f := cmd.Flags().Lookup("layers"); f == nil || f.DefValue != "true" {
		t.Error("layers are not kept unasked")
	}
	own := 0
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if strings.HasPrefix(f.Name, "vpod") {
			own++
		}
	})
	if own != 4 {
		t.Errorf("%d options of vpod's own, want 4", own)
	}
	if err := cmd.Flags().Parse([]string{"--pull", "--tag", "x", "-f", "a", "--no-such"}); err == nil || !strings.Contains(err.Error(), "no-such") {
		t.Errorf("an unknown option: %v", err)
	}
}

func TestRemoveJob(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "job")
	tree := filepath.Join(dir, "oci", "c", "tree")
	if err := os.MkdirAll(filepath.Join(tree, "somebody's"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := removeJob(dir); err == nil {
		t.Error("a tree that is in use was removed")
	}
	if err := os.Remove(filepath.Join(tree, "somebody's")); err != nil {
		t.Fatal(err)
	}
	lock, err := filelock.TryLock(filepath.Join(dir, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := removeJob(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
}
