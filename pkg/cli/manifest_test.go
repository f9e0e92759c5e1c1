package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vpod/pkg/engine"
)

func (e *fakeEngine) CreateList(_ context.Context, name string, opts engine.CreateListOptions) (string, error) {
	e.called("create list " + name)
	e.options = opts
	return "id", nil
}

func (e *fakeEngine) AddToList(_ context.Context, name string, images []string, opts engine.AddToListOptions) (string, error) {
	e.called("add to list " + name + " " + strings.Join(images, " "))
	e.options = opts
	return "id", nil
}

func (e *fakeEngine) DescribeInList(_ context.Context, name, image string, entry engine.ListEntry) (string, error) {
	e.called("describe in list " + name + " " + image)
	e.options = entry
	return "id", nil
}

func (e *fakeEngine) RemoveFromList(_ context.Context, name, image string) (string, error) {
	e.called("remove from list " + name + " " + image)
	return "id", nil
}

func (e *fakeEngine) ListExists(_ context.Context, name string) (bool, error) {
	return name == "there", nil
}

func (e *fakeEngine) InspectList(_ context.Context, name string, _ engine.RegistryAccess) (json.RawMessage, error) {
	return json.RawMessage(`{"schemaVersion":2,"name":"` + name + "\u009b\"}"), nil
}

func TestManifest(t *testing.T) {
	no := false
	tests := []struct {
		args string
		call string
		opts any
		err  string
	}{
		{"create l", "create list l", engine.CreateListOptions{Images: []string{}}, ""},
		{"create --all -a --tls-verify=false l x y", "create list l", engine.CreateListOptions{Access: engine.RegistryAccess{TLSVerify: &no}, Images: []string{"x", "y"}, All: true, Amend: true}, ""},
		{"add l x y", "add to list l x y", engine.AddToListOptions{}, ""},
		{"add --all --creds u:p --annotation a=b --arch arm64 --variant v8 --os linux --os-version 7 --features f,g --os-features h l x", "add to list l x", engine.AddToListOptions{
			Access: engine.RegistryAccess{Creds: "u:p"}, All: true,
			Entry: engine.ListEntry{Annotations: map[string]string{"a": "b"}, Arch: "arm64", Variant: "v8", OS: "linux", OSVersion: "7", Features: []string{"f", "g"}, OSFeatures: []string{"h"}},
		}, ""},
		{"add --annotation a l x", "", nil, "--annotation"},
		{"add --cert-dir /nonexistent l x", "", nil, "--cert-dir"},
		{"annotate --arch arm64 l x", "describe in list l x", engine.ListEntry{Arch: "arm64"}, ""},
		{"annotate l x", "", nil, "nothing to change"},
		{"remove l x", "remove from list l x", nil, ""},
		{"remove l", "", nil, "accepts 2 arg(s)"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			a := newTestApp(t)
			code := a.run(t, append([]string{"manifest"}, strings.Fields(tt.args)...)...)
			if a.refused(t, code, tt.err) {
				return
			}
			if code != 0 || a.out.String() != "id\n" || !slices.Contains(a.engine.calls, tt.call) {
				t.Errorf("exit code %d, output %q, calls %q, want %q: %s", code, a.out.String(), a.engine.calls, tt.call, a.err.String())
			}
			if !reflect.DeepEqual(a.engine.options, tt.opts) {
				t.Errorf("options %+v, want %+v", a.engine.options, tt.opts)
			}
		})
	}
}

func TestManifestPush(t *testing.T) {
	file := filepath.Join(t.TempDir(), "digest")
	a := newTestApp(t)
	a.engine.removed = func(names []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
		if !opts.Lists || !slices.Equal(names, []string{"l"}) {
			t.Errorf("%q are removed by %+v", names, opts)
		}
		return nil, nil
	}
	if code := a.run(t, "manifest", "push", "-q", "--rm", "--all=false", "--format", "oci", "--digestfile", file, "l", "r/x:1"); code != 0 {
		t.Fatalf("exit code %d: %s", code, a.err.String())
	}
	if want := []string{"push l to r/x:1", "remove images l", "close"}; !slices.Equal(a.engine.calls, want) {
		t.Errorf("calls %q, want %q", a.engine.calls, want)
	}
	if got, _ := a.engine.options.(engine.PushOptions); !got.List || got.All || got.Format != "oci" {
		t.Errorf("options %+v", got)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "sha256:0123" {
		t.Errorf("digest file: %q, %v", text, err)
	}
	a.run(t, "manifest", "push", "l")
	if got, _ := a.engine.options.(engine.PushOptions); !got.All {
		t.Error("without options, not all images are pushed")
	}
}

func TestManifestShown(t *testing.T) {
	a := newTestApp(t)
	if code := a.run(t, "manifest", "exists", "there"); code != 0 {
		t.Errorf("exists there: exit code %d", code)
	}
	if code := a.run(t, "manifest", "exists", "nosuch"); code != 1 || a.err.Len() != 0 {
		t.Errorf("exists nosuch: exit code %d, %q", code, a.err.String())
	}
	a.terminal.terminals = []int{1}
	a.run(t, "manifest", "inspect", "l")
	if want := "{\n    \"schemaVersion\": 2,\n    \"name\": \"l\uFFFD\"\n}\n"; a.out.String() != want {
		t.Errorf("inspect prints %q, want %q", a.out.String(), want)
	}
}

func TestManifestRm(t *testing.T) {
	a := newTestApp(t)
	a.engine.removed = func(names []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
		if want := (engine.RemoveImagesOptions{Lists: true}); opts != want {
			t.Errorf("options %+v, want %+v", opts, want)
		}
		return []engine.ImageRemoved{{ID: "1", Untagged: names, Deleted: true}}, nil
	}
	if code := a.run(t, "manifest", "rm", "l"); code != 0 || a.out.String() != "Untagged: l\nDeleted: 1\n" {
		t.Errorf("exit code %d, output %q", code, a.out.String())
	}
}
