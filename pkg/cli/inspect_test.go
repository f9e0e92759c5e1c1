package cli

import (
	"log/slog"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

// inspects lets the fake engine know container c and image i.
func (a *testApp) inspects() {
	a.engine.inspected = func(name string) (*engine.ContainerInspect, error) {
		if name != "c" && name != "both" {
			return nil, noContainer(name)
		}
		return &engine.ContainerInspect{ID: "c-id", Name: name, HostConfig: engine.InspectHostConfig{DNS: []string{"1.1.1.1"}, Memory: 1 << 29}}, nil
	}
	a.engine.image = func(name string) (*engine.ImageInspect, error) {
		if name != "i" && name != "both" {
			return nil, &namedError{name: name, cause: engine.ErrNoImage}
		}
		return &engine.ImageInspect{ID: "i-id"}, nil
	}
}

func TestInspect(t *testing.T) {
	tests := []struct {
		name, args string
		code       int
		out, err   string
		entered    int
	}{
		{"a container", "inspect -f {{.Name}} c", 0, "c\n", "", 0},
		{"Podman's name of the id", "inspect -f {{.Id}} c", 0, "c-id\n", "", 0},
		{"a key of the JSON", "inspect -f {{.HostConfig.Dns}}{{.HostConfig.Memory}} c", 0, "[1.1.1.1]536870912\n", "", 0},
		{"an image", "inspect -f {{.Id}} i", 0, "i-id\n", "", 1},
		{"both", "inspect -f {{.Id}} c i", 0, "c-id\ni-id\n", "", 1},
		{"a name of both", "inspect -f {{.Id}} both", 0, "c-id\n", "", 0},
		{"a name of both, as image", "inspect -t image -f {{.Id}} both", 0, "i-id\n", "", 1},
		{"nothing of the name", "inspect nosuch", 125, "[]\n", "Error: no such object: \"nosuch\"\nHint: `vpod ps --all`", 1},
		{"one missing", "inspect -f {{.ID}} c nosuch", 125, "c-id\n", "Error: no such object: \"nosuch\"\n", 1},
		{"no container", "container inspect i", 125, "[]\n", "Error: no such container: i\n", 0},
		{"no image", "image inspect c", 125, "[]\n", "Error: image not known: c\n", 1},
		{"unknown field", "inspect -f {{.Nope}} c", 125, "", "can't evaluate field Nope", 0},
		{"bad template", "inspect -f {{ c", 125, "", "Error: --format: ", 0},
		{"nobody", "inspect", 125, "", "Error: no names or ids specified\n", 0},
		{"unknown type", "inspect -t pod c", 125, "", "choose from all, container, image", 0},
		{"latest and a name", "inspect -l c", 125, "", "--latest and arguments", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.inspects()
			if code := a.run(t, strings.Fields(tt.args)...); code != tt.code {
				t.Errorf("%s: exit code %d, want %d", tt.args, code, tt.code)
			}
			if a.out.String() != tt.out || !strings.Contains(a.err.String(), tt.err) {
				t.Errorf("%s: output %q and %q, want %q and %q", tt.args, a.out.String(), a.err.String(), tt.out, tt.err)
			}
			if a.entered != tt.entered {
				t.Errorf("%s: entered the user namespace %d times, want %d", tt.args, a.entered, tt.entered)
			}
		})
	}
}

// An ordinary user's command begins anew in the user namespace: nothing may be
// printed or open by then.
func TestInspectEntersWithNothingOpen(t *testing.T) {
	a := newTestApp(t)
	a.inspects()
	a.App.EnterUserNamespace = func(*slog.Logger) error {
		if n := len(a.engine.calls); a.out.Len() != 0 || n == 0 || a.engine.calls[n-1] != "close" {
			t.Errorf("printed %q, calls %q", a.out.String(), a.engine.calls)
		}
		return nil
	}
	if code := a.run(t, "inspect", "c", "i"); code != 0 {
		t.Errorf("exit code %d: %s", code, a.err.String())
	}
}

func TestVersionAndInfo(t *testing.T) {
	a := newTestApp(t)
	a.engine.info = &engine.Info{}
	a.engine.info.Host.Arch, a.engine.info.Host.Hostname = "amd64", "true" // a string YAML would take for a bool
	a.engine.info.Machine.AccelReason = "line\nbreak: colon"
	a.engine.info.Store.Warnings = []string{}
	for _, tt := range []struct{ name, args string }{
		{"version", "version"}, {"version-json", "version --format json"}, {"version-flag", "--version"},
		{"version-format", "version --format {{.Client.Version}}/{{.Client.OsArch}}"},
		{"info", "info"}, {"info-json", "info --format json"}, {"info-format", "info -f {{.Host.Arch}}"},
	} {
		if code := a.run(t, strings.Fields(tt.args)...); code != 0 {
			t.Errorf("%s: exit code %d: %s", tt.args, code, a.err.String())
		}
		golden(t, "info/"+tt.name+".txt", a.out.String())
	}
	if code := a.run(t, "info", "--format", "{{.Nope}}"); code != 125 || !strings.Contains(a.err.String(), "Nope") {
		t.Errorf("exit code %d, %q", code, a.err.String())
	}
}
