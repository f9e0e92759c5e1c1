package identity

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

const passwd = `root:x:0:0:root:/root:/bin/sh
# a comment
app:x:1000:1001:App:/srv/app:/bin/sh
homeless:x:1002:1002:::
`

const group = `root:x:0:
wheel:x:10:root,app
app:x:1001:
video:x:44:app
`

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	f := Files{filepath.Join(dir, "passwd"), filepath.Join(dir, "group")}
	if err := errors.Join(os.WriteFile(f.Passwd, []byte(passwd), 0o644), os.WriteFile(f.Group, []byte(group), 0o644)); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	none := Files{filepath.Join(dir, "none"), fifo}
	for _, tt := range []struct {
		name  string
		files Files
		spec  string
		more  []string
		want  Identity
		fails bool
	}{
		{"root by default", f, "", nil, Identity{0, 0, []uint32{0, 10}, "/root"}, false},
		{"name", f, "app", nil, Identity{1000, 1001, []uint32{10, 44, 1001}, "/srv/app"}, false},
		{"number of a known user", f, "1000", nil, Identity{1000, 1001, []uint32{10, 44, 1001}, "/srv/app"}, false},
		{"unknown number", f, "4242", nil, Identity{4242, 0, []uint32{0}, "/"}, false},
		{"name and group", f, "app:video", nil, Identity{1000, 44, []uint32{44}, "/srv/app"}, false},
		{"two numbers", f, "7:8", nil, Identity{7, 8, []uint32{8}, "/"}, false},
		{"home left empty", f, "homeless", nil, Identity{1002, 1002, []uint32{1002}, "/"}, false},
		{"more groups", f, "app", []string{"wheel", "77"}, Identity{1000, 1001, []uint32{10, 44, 77, 1001}, "/srv/app"}, false},
		{"no databases", none, "12:34", []string{"5"}, Identity{12, 34, []uint32{5, 34}, "/"}, false},
		{"unknown name", f, "nobody", nil, Identity{}, true},
		{"unknown group", f, "app:nobody", nil, Identity{}, true},
		{"unknown further group", f, "app", []string{"nobody"}, Identity{}, true},
		{"beyond the range", f, "4294967295", nil, Identity{}, true},
		{"negative", f, "-1", nil, Identity{}, true},
		{"name without databases", none, "app", nil, Identity{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.files.Lookup(tt.spec, tt.more)
			var e *Error
			if tt.fails != errors.As(err, &e) {
				t.Fatalf("Lookup(%q, %q) = %v, want an error: %t", tt.spec, tt.more, err, tt.fails)
			}
			slices.Sort(got.Groups)
			if err == nil && (got.UID != tt.want.UID || got.GID != tt.want.GID || got.Home != tt.want.Home || !slices.Equal(got.Groups, tt.want.Groups)) {
				t.Errorf("Lookup(%q, %q) = %+v, want %+v", tt.spec, tt.more, got, tt.want)
			}
		})
	}
	if home := f.Home(1000); home != "/srv/app" {
		t.Errorf("Home(1000) = %q", home)
	}
	if home := none.Home(1000); home != "/" {
		t.Errorf("Home without databases = %q", home)
	}
}

func FuzzLookup(f *testing.F) {
	f.Add("app:video", []byte(passwd), []byte(group))
	f.Fuzz(func(t *testing.T, spec string, passwd, group []byte) {
		dir := t.TempDir()
		files := Files{filepath.Join(dir, "passwd"), filepath.Join(dir, "group")}
		_ = os.WriteFile(files.Passwd, passwd, 0o644)
		_ = os.WriteFile(files.Group, group, 0o644)
		_, _ = files.Lookup(spec, []string{spec})
	})
}
