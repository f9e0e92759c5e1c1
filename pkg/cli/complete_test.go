package cli

import (
	"slices"
	"strings"
	"testing"
)

func TestCompletion(t *testing.T) {
	tests := []struct {
		name   string
		line   string // the last word is the one to complete, "-" stands for nothing yet
		want   []string
		states []string
	}{
		{"commands", "at", []string{"attach"}, nil},
		{"hidden commands are not offered", "mon", nil, nil},
		{"containers that run", "stop -", []string{"web", "db"}, []string{"starting", "running", "stopping"}},
		{"containers not named yet", "rm web -", []string{"db"}, nil},
		{"containers to start", "start -", []string{"web", "db"}, []string{"created", "exited"}},
		{"containers of exec", "exec -", []string{"web", "db"}, []string{"running"}},
		{"long form", "container attach -", []string{"web", "db"}, []string{"running"}},
		{"images", "run --rm -", []string{"localhost/a:1"}, nil},
		{"images of rmi", "rmi -", []string{"localhost/a:1"}, nil},
		{"containers and images", "inspect -", []string{"web", "db", "localhost/a:1"}, nil},
		{"restart policies", "run --restart -", []string{"no", "always", "on-failure", "on-failure:", "unless-stopped"}, nil},
		{"pull policies", "create --pull -", pullPolicies, nil},
		{"accelerators", "run --accel -", accels, nil},
		{"boards", "run --machine -", boards, nil},
		{"log drivers", "run --log-driver -", logDrivers, nil},
		{"capabilities", "run --cap-add SYS_T", []string{"SYS_TIME", "SYS_TTY_CONFIG"}, nil},
		{"platforms", "pull --platform linux/amd", []string{"linux/amd64"}, nil},
		{"types", "inspect --type -", []string{"all", "container", "image"}, nil},
		{"sort keys", "ps --sort -", psSortKeys, nil},
		{"filters", "ps --filter stat", []string{"status="}, nil},
		{"filter values", "ps --filter restart-policy=", []string{"restart-policy=no", "restart-policy=always", "restart-policy=on-failure", "restart-policy=unless-stopped"}, nil},
		{"filter names", "stop --filter name=", []string{"name=web", "name=db"}, nil},
		{"flags", "rm --vol", []string{"--volumes"}, nil},
		{"shells", "completion -", shells(), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			words := strings.Fields(tt.line)
			if last := len(words) - 1; words[last] == "-" {
				words[last] = ""
			}
			if code := a.run(t, append([]string{"__completeNoDesc"}, words...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			var got []string
			for _, line := range strings.Split(strings.TrimSpace(a.out.String()), "\n") {
				if !strings.HasPrefix(line, ":") {
					got = append(got, line)
				}
			}
			for _, w := range tt.want {
				if !slices.Contains(got, w) {
					t.Errorf("%s: got %q, which lacks %q", tt.line, got, w)
				}
			}
			if tt.want == nil && len(got) > 0 {
				t.Errorf("%s: got %q, want nothing", tt.line, got)
			}
			if tt.states != nil && !slices.Equal(a.engine.ids, tt.states) {
				t.Errorf("%s: asked for containers in %q, want %q", tt.line, a.engine.ids, tt.states)
			}
		})
	}
}

func TestCompletionCommand(t *testing.T) {
	for _, shell := range shells() {
		a := newTestApp(t)
		if code := a.run(t, "completion", shell); code != 0 || !strings.Contains(a.out.String(), "vpod") {
			t.Errorf("completion %s: exit code %d: %s", shell, code, a.err.String())
		}
		if a.opened+a.entered != 0 {
			t.Errorf("completion %s opens the engine", shell)
		}
	}
	a := newTestApp(t)
	if code := a.run(t, "completion", "tcsh"); code != 125 || !strings.Contains(a.err.String(), "tcsh") {
		t.Errorf("completion tcsh: exit code %d: %s", code, a.err.String())
	}
}
