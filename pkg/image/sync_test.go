package image

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSync(t *testing.T) {
	newRegistryStore := func() (*Store, *registry, string) {
		s := policyStore(t, `{"default":[{"type":"insecureAcceptAnything"}]}`)
		r, _, addr := newRegistry(t, false)
		for _, name := range []string{"team/app:1", "team/app:2", "team/app:beta", "base:1"} {
			r.add(t, name, demoImage(""))
		}
		return s, r, addr
	}
	s, _, addr := newRegistryStore()
	s.opts.TempDir = t.TempDir()
	defer s.Close()
	list := filepath.Join(t.TempDir(), "list.yaml")
	text := addr + ":\n  tls-verify: false\n  images:\n    base: [\"1\"]\n  images-by-tag-regex:\n    team/app: ^[0-9]$\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	insecurely := CopyOptions{Source: Place{Access: Access{TLSVerify: insecure()}}}
	tests := []struct {
		name   string
		source string
		opts   SyncOptions
		want   []string // directories with images
		err    string
	}{
		{"repository", addr + "/team/app", SyncOptions{CopyOptions: insecurely, From: SyncDocker}, []string{"app:1", "app:2", "app:beta"}, ""},
		{"image", addr + "/team/app:1", SyncOptions{CopyOptions: insecurely, From: SyncDocker, Scoped: true, Suffix: "-x"}, []string{addr + "/team/app:1-x"}, ""},
		{"list", list, SyncOptions{From: SyncYAML}, []string{"app:1", "app:2", "base:1"}, ""},
		{"nothing is done", addr + "/team/app", SyncOptions{CopyOptions: insecurely, From: SyncDocker, DryRun: true}, nil, ""},
		{"no such repository", addr + "/nosuch", SyncOptions{CopyOptions: insecurely, From: SyncDocker}, nil, "no tag that is wanted"},
		{"no such file", "/nonexistent", SyncOptions{From: SyncYAML}, nil, "/nonexistent"},
		{"directories", "/x", SyncOptions{From: SyncDir}, nil, "rsync"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.opts.To = SyncDir
			n, err := s.Sync(t.Context(), tt.source, dir, tt.opts)
			if tt.err != "" {
				wantErr(t, err, tt.err)
				return
			}
			if err != nil || !tt.opts.DryRun && n != len(tt.want) {
				t.Fatalf("%d, %v", n, err)
			}
			found, _ := syncDirectory(dir, Place{})
			if len(found[0].refs) != len(tt.want) {
				t.Errorf("%d images in %s", len(found[0].refs), dir)
			}
			for _, want := range tt.want {
				if _, err := os.Stat(filepath.Join(dir, want, "manifest.json")); err != nil {
					t.Error(err)
				}
			}
			if len(tt.want) > 0 {
				_, err = s.Sync(t.Context(), tt.source, dir, tt.opts)
				wantErr(t, err, "is there already")
			}
		})
	}
}

func TestSyncSource(t *testing.T) {
	s := Open(Options{}, slog.New(slog.DiscardHandler))
	dir := t.TempDir()
	for _, image := range []string{"a/one:1", "two:2"} {
		if err := os.MkdirAll(filepath.Join(dir, image), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, image, "manifest.json"), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	groups, err := s.syncSource(t.Context(), dir, SyncOptions{From: SyncDir})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, scoped := range []bool{false, true} {
		for _, ref := range groups[0].refs {
			names = append(names, syncSuffix(groups[0], ref, scoped))
		}
	}
	if got, want := strings.Join(names, " "), "one:1 two:2 /a/one:1 /two:2"; got != want {
		t.Errorf("names %q, want %q", got, want)
	}
}

func TestParseSyncFile(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "names no registry",
		"r.example: {}":                      "no images are named",
		"r.example: {images: {a: []}}":       "",
		"r.example: {image: {a: []}}":        "not found",
		"r.example: {images: [a]}":           "cannot unmarshal",
		"r: {images-by-semver: {a: '1'}}":    "images-by-semver",
		"r: {images-by-tag-regex: {a: '('}}": "missing closing",
	} {
		_, err := parseSyncFile([]byte(text))
		if want == "" && err == nil {
			continue
		}
		wantErr(t, err, want)
	}
}

func FuzzParseSyncFile(f *testing.F) {
	f.Add([]byte("r.example:\n  images:\n    a: [\"1\"]\n  images-by-tag-regex:\n    b: ^v\n  credentials: {username: me}\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		file, err := parseSyncFile(text)
		if err != nil {
			return
		}
		for name, r := range file {
			for repo := range r.Images {
				_, _ = syncRepository(name, repo)
			}
		}
	})
}
