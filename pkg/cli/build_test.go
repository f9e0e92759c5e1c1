package cli

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func (e *fakeEngine) Build(args []string) error {
	e.calls = append(e.calls, "build "+strings.Join(args, " "))
	return nil
}

func TestBuild(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"build"}, "build --"},
		{[]string{"build", "-t", "a", "--tag", "b", "dir"}, "build --tag=a --tag=b -- dir"},
		{[]string{"bud", "--pull", "--no-cache", "."}, "build --no-cache=true --pull=always -- ."},
		{[]string{"build", "--squash", "."}, "build --layers=false -- ."},
		{[]string{"build", "--squash-all", "."}, "build --layers=false --squash=true -- ."},
		{[]string{"buildx", "build", "--net", "none", "-"}, "build --network=none -- -"},
		{[]string{"image", "build", "-f", "-", "--secret", "id=a,src=b", "."}, "build --file=- --secret=id=a,src=b -- ."},
	} {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			a := newTestApp(t)
			a.run(t, tt.args...)
			if !slices.Equal(a.engine.calls, []string{tt.want, "close"}) {
				t.Errorf("%q: %q, want %q", tt.args, a.engine.calls, tt.want)
			}
		})
	}
}

// What vpod passes on, the program that builds must know.
func TestBuildOptionsAreTheLibrarys(t *testing.T) {
	if testing.Short() {
		t.Skip("left out by -short: builds a program")
	}
	const tags = "containers_image_openpgp exclude_graphdriver_btrfs" // as the Makefile's
	out, err := exec.Command("go", "run", "-tags", tags, "vpod/cmd/vpod-build", "--help").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		t.Fatalf("ask vpod-build for its options: %v", err)
	}
	for _, o := range buildOptions() {
		if o.name == "squash-all" {
			continue // see buildArgs
		}
		if !strings.Contains(string(out), "--"+o.name+" ") && !strings.Contains(string(out), "--"+o.name+"[") {
			t.Errorf("vpod-build does not know --%s", o.name)
		}
		if o.short != "" && !strings.Contains(string(out), "-"+o.short+", --"+o.name) {
			t.Errorf("vpod-build does not know -%s", o.short)
		}
	}
}
