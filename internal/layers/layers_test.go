// Package layers holds the test that imports point downward and that one
// outside thing is known to one package. .golangci.yml says the same to the
// linter; this test needs nothing but go.
package layers

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms are vpod's packages, by height: a package imports only lower ones, or,
// among the workshops, those of its own height named in peers.
var rooms = map[string]int{
	"cmd/vpod": 4, "cmd/vpod-build": 4,

	"pkg/cli": 3,

	"pkg/engine": 2,

	"pkg/store": 1, "pkg/image": 1, "pkg/rootfs": 1, "pkg/monitor": 1, "pkg/qmp": 1, "pkg/qemu": 1,
	"pkg/agentclient": 1, "pkg/sidecar": 1, "pkg/template": 1, "pkg/network": 1, "pkg/logs": 1, "pkg/seccomp": 1,
	"pkg/bundle": 1, "pkg/builder": 1,

	"pkg/container": 0, "pkg/agentproto": 0, "pkg/paths": 0, "pkg/config": 0, "pkg/filelock": 0, "pkg/unixsock": 0, "pkg/detach": 0,
	"pkg/timing": 0, "pkg/wholefile": 0,
}

// peers are the workshops that use other workshops.
var peers = map[string][]string{
	"pkg/monitor":  {"pkg/qmp", "pkg/qemu", "pkg/agentclient", "pkg/sidecar", "pkg/logs", "pkg/template"},
	"pkg/template": {"pkg/qemu"},
	"pkg/network":  {"pkg/sidecar"},
}

// alone says which outside module only one package may import, and why.
// A second owner is named behind a space.
var alone = []struct{ prefix, owner, why string }{
	{"database/sql", "pkg/store", "only the store knows the database"},
	{"github.com/mattn/go-sqlite3", "pkg/store", "only the store knows the database"},
	{"github.com/containers/image/", "pkg/image pkg/builder", "only image and builder know the image libraries"},
	{"github.com/containers/storage", "pkg/image pkg/builder", "only image and builder know the image libraries"},
	{"github.com/containers/buildah", "pkg/builder", "only builder knows the build library"},
	{"github.com/containers/common/libimage", "pkg/image", "only image knows the image libraries"},
	{"github.com/containers/common/libnetwork", "pkg/network", "only network knows libnetwork"},
	{"github.com/digitalocean/go-qemu", "pkg/qmp", "only qmp speaks QMP"},
	{"github.com/spf13/cobra", "pkg/cli pkg/builder", "flags end at the door; the build library reads them itself"},
}

const module = "vpod/"

func TestImportsPointDownward(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "build" || name == "vendor" || name == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		from := filepath.ToSlash(rel)
		seen[room(from)] = true
		for _, spec := range f.Imports {
			to, _ := strconv.Unquote(spec.Path.Value)
			if why := refused(from, to); why != "" {
				t.Errorf("%s imports %s: %s", path, to, why)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("there is no package %s: take it out of the table", name)
		}
	}
}

// room returns the package of the table that pkg is or is part of.
func room(pkg string) string {
	for name := range rooms {
		if pkg == name || strings.HasPrefix(pkg, name+"/") {
			return name
		}
	}
	return pkg
}

// refused says why package from may not import path to; "" when it may.
func refused(from, to string) string {
	for _, a := range alone {
		if strings.HasPrefix(to, a.prefix) && !slices.Contains(strings.Fields(a.owner), room(from)) {
			return a.why
		}
	}
	inner, ours := strings.CutPrefix(to, module)
	if !ours {
		return ""
	}
	if strings.HasPrefix(from, "guest/") {
		if inner == "pkg/agentproto" || strings.HasPrefix(inner, "guest/") {
			return ""
		}
		return "the guest shares only pkg/agentproto with the host"
	}
	src, dst := room(from), room(inner)
	if src == dst {
		return ""
	}
	up, known := rooms[src]
	if !known {
		return "" // tests, generators and tools outside the rooms
	}
	down, known := rooms[dst]
	switch {
	case !known:
		return "it is not in the table of rooms"
	case down < up && !(src == "pkg/cli" && down == 1) && src != "cmd/vpod":
		return ""
	case src == "cmd/vpod" && (dst == "pkg/cli" || dst == "pkg/engine"):
		return ""
	}
	for _, p := range peers[src] {
		if p == dst {
			return ""
		}
	}
	return "imports point downward: cli -> engine -> workshops -> vocabulary"
}

func TestRefusedCatches(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		refused  bool
	}{
		{"pkg/cli", "vpod/pkg/engine", false},
		{"pkg/cli", "vpod/pkg/store", true},
		{"pkg/cli", "vpod/pkg/container", false},
		{"pkg/engine", "vpod/pkg/store", false},
		{"pkg/store", "vpod/pkg/engine", true},
		{"pkg/store", "vpod/pkg/image", true},
		{"pkg/monitor", "vpod/pkg/qmp", false},
		{"pkg/monitor", "vpod/pkg/store", true},
		{"pkg/container", "vpod/pkg/paths", true},
		{"guest/agent", "vpod/pkg/agentproto", false},
		{"guest/agent/internal/x", "vpod/pkg/container", true},
		{"pkg/engine", "database/sql", true},
		{"pkg/engine", "github.com/containers/image/v5/types", true},
		{"cmd/vpod", "vpod/pkg/cli", false},
		{"cmd/vpod", "vpod/pkg/store", true},
	} {
		if got := refused(tt.from, tt.to) != ""; got != tt.refused {
			t.Errorf("refused(%s, %s) = %t, want %t", tt.from, tt.to, got, tt.refused)
		}
	}
}
