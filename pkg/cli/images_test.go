package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

func imageList() []engine.ImageSummary {
	id := func(c string) string { return strings.Repeat(c, 64) }
	return []engine.ImageSummary{
		{ID: id("a"), Names: []string{"registry.example:5000/team/app:v2", "localhost/app:latest"}, RepoDigests: []string{"localhost/app@sha256:" + id("1")},
			Digest: "sha256:" + id("1"), Created: testNow.Add(-2 * time.Hour), SizeBytes: 123_456_789, Labels: map[string]string{"k": "v"}, NamesHistory: []string{"localhost/app:latest", "registry.example:5000/team/app:v2", "localhost/old:1"}},
		{ID: id("b"), Digest: "sha256:" + id("2"), Created: testNow.Add(-50 * time.Hour), SizeBytes: 1_987_655, Dangling: true, ParentID: id("c")},
		{ID: id("c"), Names: []string{"localhost/pinned@sha256:" + id("3")}, Digest: "sha256:" + id("3"), Created: testNow.Add(-3000 * time.Hour), SizeBytes: 999, ReadOnly: true},
	}
}

func TestImagesGolden(t *testing.T) {
	tests := []struct {
		name string
		args []string
	}{
		{"table", nil},
		{"digests", []string{"--digests"}},
		{"history", []string{"--history"}},
		{"no-trunc", []string{"--no-trunc"}},
		{"noheading", []string{"-n"}},
		{"quiet", []string{"-q"}},
		{"quiet-no-trunc", []string{"-q", "--no-trunc"}},
		{"json", []string{"--format", "json"}},
		{"sort-size", []string{"--sort", "size"}},
		{"sort-repository", []string{"--sort", "repository", "--format", "{{.Repository}}:{{.Tag}}"}},
		{"format", []string{"--format", "{{.ID}} {{.Id}} {{.Digest}} {{.CreatedAt}} {{.Size}} {{.VirtualSize}} {{.Names}} {{.Labels}} {{.Containers}} {{.Dangling}} {{.ReadOnly}} {{.History}}"}},
		{"format-table", []string{"--format", "table {{.ID}} {{.Repository}} {{.CreatedSince}}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.images = imageList()
			a.engine.list = []engine.Listed{{Container: container.Container{Spec: container.Spec{Image: container.Image{ID: imageList()[0].ID}}}}}
			if code := a.run(t, append([]string{"images"}, tt.args...)...); code != 0 {
				t.Fatalf("exit code %d: %s", code, a.err.String())
			}
			golden(t, "images/"+tt.name+".txt", a.out.String())
		})
	}
}

func TestImagesPassesFilters(t *testing.T) {
	a := newTestApp(t)
	a.run(t, "images", "-f", "dangling=true", "--filter", "label=x", "app")
	if want := "images app dangling=true label=x"; !slices.Contains(a.engine.calls, want) {
		t.Errorf("calls %q, want %q", a.engine.calls, want)
	}
}

func TestSplitName(t *testing.T) {
	for _, tt := range []struct{ name, repository, tag string }{
		{"localhost/a:1", "localhost/a", "1"},
		{"localhost:5000/a", "localhost:5000/a", "<none>"},
		{"localhost:5000/a:1", "localhost:5000/a", "1"},
		{"localhost/a@sha256:00", "localhost/a", "<none>"},
	} {
		if repository, tag := splitName(tt.name); repository != tt.repository || tag != tt.tag {
			t.Errorf("splitName(%q) = %q, %q, want %q, %q", tt.name, repository, tag, tt.repository, tt.tag)
		}
	}
}

func TestRmi(t *testing.T) {
	missing := &namedError{name: "x", cause: engine.ErrNoImage}
	used := &namedError{name: "y", cause: engine.ErrImageInUse}
	removed := []engine.ImageRemoved{{ID: "1", Untagged: []string{"a:1"}}, {ID: "2", Untagged: []string{"b:1", "b:2"}, Deleted: true}}
	tests := []struct {
		name string
		args string
		err  error
		code int
		want engine.RemoveImagesOptions
	}{
		{"plain", "rmi a b", nil, 0, engine.RemoveImagesOptions{}},
		{"forced", "rmi -f a", nil, 0, engine.RemoveImagesOptions{Force: true, Ignore: true}},
		{"all", "image rm --all --no-prune -i", nil, 0, engine.RemoveImagesOptions{All: true, NoPrune: true, Ignore: true}},
		{"missing", "rmi a x", errors.Join(missing), 1, engine.RemoveImagesOptions{}},
		{"used", "rmi a x y", errors.Join(missing, used), 2, engine.RemoveImagesOptions{}},
		{"other", "rmi a x", errors.Join(missing, errors.New("disk on fire")), 125, engine.RemoveImagesOptions{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newTestApp(t)
			a.engine.removed = func(_ []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
				if opts != tt.want {
					t.Errorf("options %+v, want %+v", opts, tt.want)
				}
				return removed, tt.err
			}
			if code := a.run(t, strings.Fields(tt.args)...); code != tt.code {
				t.Errorf("exit code %d, want %d: %s", code, tt.code, a.err.String())
			}
			if got, want := a.out.String(), "Untagged: a:1\nUntagged: b:1\nUntagged: b:2\nDeleted: 2\n"; got != want {
				t.Errorf("output %q, want %q", got, want)
			}
			if got := strings.Count(a.err.String(), "Error: "); got != len(joined(tt.err)) {
				t.Errorf("%d errors printed, want %d: %s", got, len(joined(tt.err)), a.err.String())
			}
		})
	}
	for _, args := range []string{"rmi", "rmi -a x"} {
		a := newTestApp(t)
		if code := a.run(t, strings.Fields(args)...); code != 125 || a.opened != 0 {
			t.Errorf("%s: exit code %d, want 125", args, code)
		}
	}
}

func TestJoined(t *testing.T) {
	one, two := errors.New("one"), errors.New("two")
	wrapped := &namedError{name: "x", cause: errors.Join(one, two)}
	if got := joined(errors.Join(errors.Join(one, two), wrapped)); len(got) != 3 {
		t.Errorf("%d errors, want 3: %q", len(got), got)
	}
	if got := joined(nil); got != nil {
		t.Errorf("joined(nil) = %q", got)
	}
}

func TestPull(t *testing.T) {
	a := newTestApp(t)
	var got engine.PullOptions
	a.engine.pulled = func(name string, opts engine.PullOptions) (engine.Image, error) {
		got = opts
		if name == "bad" {
			return engine.Image{}, errors.New("bad: refused")
		}
		return engine.Image{ID: name + "-id"}, nil
	}
	if code := a.run(t, "pull", "--creds", "u:p", "--arch", "arm64", "a", "bad", "b"); code != 125 {
		t.Errorf("exit code %d, want 125", code)
	}
	if a.out.String() != "a-id\nb-id\n" || a.err.String() != "Error: bad: refused\n" {
		t.Errorf("output %q and %q", a.out.String(), a.err.String())
	}
	if got.Policy != "always" || got.Creds != "u:p" || got.Platform.Arch != "arm64" || got.TLSVerify != nil || got.Progress == nil {
		t.Errorf("options %+v", got)
	}
	a.run(t, "pull", "-q", "--policy", "missing", "--tls-verify", "a")
	if got.Policy != "missing" || got.TLSVerify == nil || !*got.TLSVerify || got.Progress != nil {
		t.Errorf("options %+v", got)
	}
}

func TestTagLoadSave(t *testing.T) {
	tests := []struct {
		args      string
		terminals []int
		code      int
		call, out string
	}{
		{"tag a b c", nil, 0, "tag a b c", ""},
		{"tag a", nil, 125, "", ""},
		{"untag a b", nil, 0, "untag a b", ""},
		{"untag a", nil, 0, "untag a ", ""},
		{"load", nil, 0, "load ", "Loaded image: localhost/a:1\n"},
		{"load -i x.tar", []int{0}, 0, "load x.tar", "Loaded image: localhost/a:1\n"},
		{"load", []int{0}, 125, "", ""},
		{"save a b", nil, 0, "save a b", ""},
		{"save --format oci-archive --uncompressed -o x a", nil, 0, "save a", ""},
		{"save -o x a", []int{1}, 0, "save a", ""},
		{"save a", []int{1}, 125, "", ""},
		{"save --format foo a", nil, 125, "", ""},
	}
	for _, tt := range tests {
		a := newTestApp(t)
		a.terminal.terminals = tt.terminals
		if code := a.run(t, strings.Fields(tt.args)...); code != tt.code || a.out.String() != tt.out {
			t.Errorf("%s: exit code %d, output %q, want %d and %q: %s", tt.args, code, a.out.String(), tt.code, tt.out, a.err.String())
		}
		if tt.call != "" && !slices.Contains(a.engine.calls, tt.call) {
			t.Errorf("%s: calls %q, want %q", tt.args, a.engine.calls, tt.call)
		}
	}
}

func TestImagePrune(t *testing.T) {
	a := newTestApp(t)
	a.engine.images = imageList()[:2]
	var names []string
	a.engine.removed = func(n []string, opts engine.RemoveImagesOptions) ([]engine.ImageRemoved, error) {
		names = append(names, n...)
		if opts.Force {
			t.Error("images are removed by force")
		}
		if n[0] == "localhost/app:latest" {
			return nil, &namedError{name: n[0], cause: engine.ErrImageInUse} // taken meanwhile
		}
		return []engine.ImageRemoved{{ID: n[0] + "-id", Deleted: true}}, nil
	}
	if code := a.run(t, "image", "prune", "-a", "-f", "--filter", "until=1h"); code != 0 {
		t.Fatalf("exit code %d: %s", code, a.err.String())
	}
	if want := "images  until=1h containers=false readonly=false"; !slices.Contains(a.engine.calls, want) {
		t.Errorf("calls %q, want %q", a.engine.calls, want)
	}
	if len(names) != 3 || strings.Count(a.out.String(), "\n") != 2 {
		t.Errorf("removed %q, printed %q", names, a.out.String())
	}
}
