package cli

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

func (e *fakeEngine) Export(_ context.Context, name string, w io.Writer) error {
	e.called("export " + name)
	_, err := io.WriteString(w, "archive")
	return err
}

func (e *fakeEngine) ExportFile(_ context.Context, name, path string) error {
	e.called("export " + name + " to " + path)
	return nil
}

func (e *fakeEngine) Diff(_ context.Context, name string) ([]engine.Change, error) {
	e.called("diff " + name)
	return []engine.Change{
		{Kind: engine.ChangeModified, Path: "/etc"},
		{Kind: engine.ChangeAdded, Path: "/etc/new\x1b[31m\nA /two"},
		{Kind: engine.ChangeDeleted, Path: "/etc/old"},
	}, nil
}

func (e *fakeEngine) DiffImage(_ context.Context, name, other string) ([]engine.Change, error) {
	e.called("diff image " + name + " " + other)
	return nil, nil
}

func (e *fakeEngine) Commit(_ context.Context, name string, opts engine.CommitOptions) (string, error) {
	e.called("commit " + name)
	opts.Progress = nil
	e.options = opts
	return testID, nil
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config")
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		opts engine.CommitOptions
		err  string
	}{
		{"plain", []string{"web"}, engine.CommitOptions{Format: "oci", Pause: true}, ""},
		{"all", []string{"-a", "me", "-m", "note", "-c", "CMD a", "--change", "USER b", "--pause=false", "-s", "-f", "docker", "-q", "--config", config, "web", "name"},
			engine.CommitOptions{Image: "name", Author: "me", Message: "note", Changes: []string{"CMD a", "USER b"}, Squash: true, Format: "docker", Override: []byte("{}")}, ""},
		{"in no format", []string{"-f", "foo", "web"}, engine.CommitOptions{}, `"foo"`},
		{"volumes", []string{"--include-volumes", "web"}, engine.CommitOptions{}, "always declared"},
		{"without its configuration", []string{"--config", dir + "/none", "web"}, engine.CommitOptions{}, "--config"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := newTestApp(t)
			code := app.run(t, append([]string{"commit"}, tt.args...)...)
			if app.refused(t, code, tt.err) {
				return
			}
			if code != 0 || app.out.String() != testID+"\n" {
				t.Errorf("exit code %d, output %q, error %q", code, app.out.String(), app.err.String())
			}
			if !reflect.DeepEqual(app.engine.options, tt.opts) {
				t.Errorf("options %+v\nwant    %+v", app.engine.options, tt.opts)
			}
		})
	}
	file := filepath.Join(dir, "iid")
	if code := newTestApp(t).run(t, "commit", "--iidfile", file, "web"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != testID {
		t.Errorf("--iidfile holds %q, %v", got, err)
	}
}

func TestDiffAndExport(t *testing.T) {
	const table = "C /etc\nA /etc/new\uFFFD[31m\uFFFDA /two\nD /etc/old\n"
	for _, tt := range []struct {
		name, args, call, out, err string
		code                       int
	}{
		{"diff", "diff web", "diff web", table, "", 0},
		{"diff, the long form", "container diff web", "diff web", table, "", 0},
		{"diff as JSON", "diff --format json web", "diff web", "{\n    \"changed\": [\n        \"/etc\"\n    ],\n    \"added\": [\n        \"/etc/new\\u001b[31m\\nA /two\"\n    ],\n    \"deleted\": [\n        \"/etc/old\"\n    ]\n}\n", "", 0},
		{"diff in no form", "diff --format foo web", "", "", `"foo"`, 125},
		{"diff of nothing", "diff", "", "", "name what", 125},
		{"diff of a container and an image", "container diff web other", "get web", "", "web", 125},
		{"diff of an image", "image diff a b", "diff image a b", "", "", 0},
		{"diff of the latest and another", "diff --latest web", "", "", "--latest", 125},
		{"export", "export web", "export web", "archive", "", 0},
		{"export to a file", "container export -o web.tar web", "export web to web.tar", "", "", 0},
		{"export of nothing", "export", "", "", "accepts 1 arg", 125},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app := newTestApp(t)
			code := app.run(t, strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, app.err.String())
			}
			if got := strings.TrimSuffix(strings.Join(app.engine.calls, "; "), "; close"); got != tt.call {
				t.Errorf("calls %q, want %q", got, tt.call)
			}
			if app.out.String() != tt.out {
				t.Errorf("output %q\nwant   %q", app.out.String(), tt.out)
			}
			if !strings.Contains(app.err.String(), tt.err) {
				t.Errorf("error %q, want %q", app.err.String(), tt.err)
			}
		})
	}
}
