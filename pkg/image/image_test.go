package image

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLookup(t *testing.T) {
	s := newStore(t, "vfs")
	if _, err := s.Lookup(t.Context(), "demo"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup in an empty store: %v", err)
	}
	pulled := pullDemo(t, s, "registry.example/team/demo:v1")
	names := []string{
		"registry.example/team/demo:v1", "demo:v1", "team/demo:v1",
		pulled.ID, pulled.ID[:12], pulled.ID[:4], "sha256:" + pulled.ID,
		"registry.example/team/demo@" + pulled.Digest,
	}
	for _, name := range names {
		got, err := s.Lookup(t.Context(), name)
		if err != nil {
			t.Errorf("Lookup(%s): %v", name, err)
			continue
		}
		if got.ID != pulled.ID {
			t.Errorf("Lookup(%s) = %s, want %s", name, got.ID, pulled.ID)
		}
		wantName := "registry.example/team/demo:v1"
		if isID(name) {
			wantName = pulled.ID
		}
		if strings.Contains(name, "@") {
			wantName = name
		}
		if got.Name != wantName {
			t.Errorf("Lookup(%s).Name = %q, want %q", name, got.Name, wantName)
		}
	}
	for _, name := range []string{"demo", "demo:v2", "registry.example/other", strings.Repeat("0", 64), "UPPER", "containers-storage:nope", ""} {
		if _, err := s.Lookup(t.Context(), name); err == nil {
			t.Errorf("Lookup(%q) found something", name)
		}
	}
	_, err := s.Lookup(t.Context(), "nosuch")
	wantErr(t, err, "nosuch: image not known")
	if ok, err := s.Exists(t.Context(), "demo:v1"); !ok || err != nil {
		t.Errorf("Exists = %t, %v", ok, err)
	}
	if ok, err := s.Exists(t.Context(), "nosuch"); ok || err != nil {
		t.Errorf("Exists(nosuch) = %t, %v", ok, err)
	}
}

func TestConfigIsKept(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:latest")
	got, err := s.Lookup(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if want := demoImage("").config; !reflect.DeepEqual(got.Config, want) {
		t.Errorf("config\n have %+v\n want %+v", got.Config, want)
	}
	var check struct{ Test []string }
	if err := json.Unmarshal(got.Healthcheck, &check); err != nil || !slices.Equal(check.Test, []string{"CMD-SHELL", "true"}) {
		t.Errorf("health check %s, %v", got.Healthcheck, err)
	}
	if !slices.Equal(got.Shell, []string{"/bin/ash", "-c"}) {
		t.Errorf("shell %q", got.Shell)
	}
	if got.OS != "linux" || got.Arch != "amd64" || got.Platform() != "linux/amd64" || got.Foreign() {
		t.Errorf("platform %q, foreign %t", got.Platform(), got.Foreign())
	}
	if len(got.Layers) != 1 || len(got.History) != 1 || got.SizeBytes <= 0 || !strings.HasPrefix(got.Digest, "sha256:") {
		t.Errorf("layers %v history %v size %d digest %q", got.Layers, got.History, got.SizeBytes, got.Digest)
	}
	if want := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC); !got.Created.Equal(want) {
		t.Errorf("created %v, want %v", got.Created, want)
	}
	if want := []string{"localhost/demo@" + got.Digest}; !slices.Equal(got.RepoDigests, want) {
		t.Errorf("repo digests %q, want %q", got.RepoDigests, want)
	}
}

func TestForeignPlatform(t *testing.T) {
	s := newStore(t, "vfs")
	img := demoImage("localhost/arm:1")
	img.arch = "arm64"
	var text strings.Builder
	got, err := s.Pull(t.Context(), "oci:"+writeLayout(t, img), PullOptions{Platform: Platform{OS: "linux", Arch: "arm64"}, Progress: &text})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || !got[0].Foreign() || got[0].Platform() != "linux/arm64" {
		t.Errorf("pulled %+v", got)
	}
	if !strings.Contains(text.String(), "Copying blob") || strings.Contains(text.String(), "\r") {
		t.Errorf("progress to what is no terminal: %q", text.String())
	}
}

func TestHealthcheckPlaces(t *testing.T) {
	tests := []struct {
		name, config string
		check        string
		shell        int
	}{
		{name: "none", config: `{}`},
		{name: "null", config: `{"config":{"Healthcheck":null}}`},
		{name: "config", config: `{"config":{"Healthcheck":{"Test":["NONE"]},"Shell":["a","b"]}}`, check: `{"Test":["NONE"]}`, shell: 2},
		{name: "old place", config: `{"container_config":{"Healthcheck":{"Test":[]}}}`, check: `{"Test":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c dockerConfig
			if err := json.Unmarshal([]byte(tt.config), &c); err != nil {
				t.Fatal(err)
			}
			check, shell := c.healthcheck()
			if string(check) != tt.check || len(shell) != tt.shell {
				t.Errorf("health check %q shell %q", check, shell)
			}
		})
	}
}

func TestList(t *testing.T) {
	s := newStore(t, "vfs")
	if list, err := s.List(t.Context(), ListOptions{}); err != nil || len(list) != 0 {
		t.Errorf("List of an empty store = %v, %v", list, err)
	}
	old, new := demoImage("localhost/old:1"), demoImage("localhost/new:1")
	old.created = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	new.config.Labels = map[string]string{"who": "new"}
	nameless := testImage{layers: [][]entry{{{name: "x", data: "x"}}}, created: time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, img := range []testImage{old, new, nameless} {
		if _, err := s.Load(t.Context(), writeLayout(t, img), nil); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		opts ListOptions
		want string // first names, "-" for none
	}{
		{name: "all", want: "localhost/new:1 - localhost/old:1"},
		{name: "reference", opts: ListOptions{Reference: "old"}, want: "localhost/old:1"},
		{name: "glob", opts: ListOptions{Reference: "localhost/*"}, want: "localhost/new:1 localhost/old:1"},
		{name: "no match", opts: ListOptions{Reference: "nosuch"}, want: ""},
		{name: "dangling", opts: ListOptions{Filters: []string{"dangling=true"}}, want: "-"},
		{name: "not dangling", opts: ListOptions{Filters: []string{"dangling=false"}}, want: "localhost/new:1 localhost/old:1"},
		{name: "label", opts: ListOptions{Filters: []string{"label=who=new"}}, want: "localhost/new:1"},
		{name: "label missing", opts: ListOptions{Filters: []string{"label!=who"}}, want: "- localhost/old:1"},
		{name: "before", opts: ListOptions{Filters: []string{"before=localhost/new:1"}}, want: "- localhost/old:1"},
		{name: "since", opts: ListOptions{Filters: []string{"since=localhost/old:1"}}, want: "localhost/new:1 -"},
		{name: "containers", opts: ListOptions{Filters: []string{"containers=true"}}, want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.opts.Labels = true
			list, err := s.List(t.Context(), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, sum := range list {
				name := "-"
				if len(sum.Names) > 0 {
					name = sum.Names[0]
				}
				names = append(names, name)
				if sum.SizeBytes <= 0 || sum.ID == "" || sum.Digest == "" || sum.Dangling != (name == "-") {
					t.Errorf("summary %+v", sum)
				}
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("listed %q, want %q", got, tt.want)
			}
		})
	}
	for _, bad := range []string{"nosuch=x", "label", "dangling=perhaps", "before=nosuch"} {
		if _, err := s.List(t.Context(), ListOptions{Filters: []string{bad}}); err == nil {
			t.Errorf("filter %q was taken", bad)
		}
	}
}

// An image in an additional store and in the own one is listed once.
func TestListOnceWithAdditionalStore(t *testing.T) {
	first := newStore(t, "vfs")
	pullDemo(t, first, "localhost/demo:1")
	// A copy: the library knows the locks of one directory in one way only.
	additional := filepath.Join(t.TempDir(), "additional")
	if out, err := exec.Command("cp", "-a", first.opts.Root, additional).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	second := newStore(t, "vfs")
	second.opts.DriverOptions = []string{"vfs.imagestore=" + additional}
	list, err := second.List(t.Context(), ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || !list[0].ReadOnly {
		t.Fatalf("through an additional store: %+v", list)
	}
	pullDemo(t, second, "localhost/demo:1")
	list, err = second.List(t.Context(), ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Errorf("in both stores: %+v", list)
	}
}

func TestInspectAndHistory(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	data, err := s.Inspect(t.Context(), "demo:1")
	if err != nil {
		t.Fatal(err)
	}
	if data.ID != img.ID || data.Config.User != "1000:1000" || data.Size <= 0 || data.RepoTags[0] != "localhost/demo:1" {
		t.Errorf("Inspect = %+v", data)
	}
	raw, err := json.Marshal(data)
	if err != nil || !strings.Contains(string(raw), `"RepoTags":["localhost/demo:1"]`) {
		t.Errorf("JSON %s, %v", raw, err)
	}
	steps, err := s.History(t.Context(), img.ID)
	if err != nil || len(steps) != 1 || steps[0].CreatedBy != "layer 0" {
		t.Errorf("History = %+v, %v", steps, err)
	}
	if _, err := s.Inspect(t.Context(), "nosuch"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Inspect(nosuch): %v", err)
	}
}

func TestTagAndUntag(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	if err := s.Tag(t.Context(), "demo:1", "other", "registry.example/x/y:z"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Lookup(t.Context(), img.ID)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got.Names)
	if want := []string{"localhost/demo:1", "localhost/other:latest", "registry.example/x/y:z"}; !slices.Equal(got.Names, want) {
		t.Errorf("names %q, want %q", got.Names, want)
	}
	for _, bad := range []string{"UPPER", "a:b:c", "x@sha256:" + strings.Repeat("0", 64), ""} {
		if err := s.Tag(t.Context(), "demo:1", bad); err == nil {
			t.Errorf("tag %q was taken", bad)
		}
	}
	if err := s.Untag(t.Context(), "other", "other"); err != nil {
		t.Error(err)
	}
	if err := s.Untag(t.Context(), img.ID, "other"); err == nil {
		t.Error("untagged a name it does not have")
	}
	if err := s.Untag(t.Context(), img.ID); err != nil {
		t.Error(err)
	}
	if got, err := s.Lookup(t.Context(), img.ID); err != nil || len(got.Names) != 0 {
		t.Errorf("after untag: %+v, %v", got, err)
	}
	if err := s.Tag(t.Context(), "nosuch", "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Tag(nosuch): %v", err)
	}
}

func TestDamagedImage(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	// Somebody deletes the configuration under the store.
	damaged, err := filepath.Glob(filepath.Join(s.opts.Root, "vfs-images", img.ID, "=*"))
	if err != nil || len(damaged) == 0 {
		t.Fatal(damaged, err)
	}
	for _, path := range damaged {
		os.Remove(path)
	}
	if _, err := s.Lookup(t.Context(), "demo:1"); err == nil {
		t.Error("a damaged image was read")
	}
	if _, err := s.List(t.Context(), ListOptions{}); err != nil {
		t.Errorf("List with a damaged image: %v", err)
	}
	if _, err := s.Remove(t.Context(), []string{img.ID}, RemoveOptions{}); err != nil {
		t.Errorf("remove a damaged image: %v", err)
	}
	if list, err := s.List(t.Context(), ListOptions{}); err != nil || len(list) != 0 {
		t.Errorf("left: %v, %v", list, err)
	}
}
