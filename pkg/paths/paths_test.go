package paths

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestDefault(t *testing.T) {
	const nobody = 1<<31 - 5 // a user without /run/user
	for _, tt := range []struct {
		name     string
		uid      int
		env      map[string]string
		override Override
		want     Dirs
		wantErr  bool
	}{
		{"root", 0, map[string]string{"HOME": "/root", "XDG_RUNTIME_DIR": "/run/user/0"}, Override{}, Dirs{"/var/lib/vpod", "/run/vpod"}, false},
		{"user", nobody, map[string]string{"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}, Override{}, Dirs{"/h/.local/share/vpod", "/r/vpod"}, false},
		{"user with a data directory", nobody, map[string]string{"HOME": "/h", "XDG_DATA_HOME": "/d", "XDG_RUNTIME_DIR": "/r"}, Override{}, Dirs{"/d/vpod", "/r/vpod"}, false},
		{"user without a run directory", nobody, map[string]string{"HOME": "/h"}, Override{}, Dirs{"/h/.local/share/vpod", filepath.Join(os.TempDir(), "vpod-run-2147483643/vpod")}, false},
		{"user without a home", nobody, nil, Override{}, Dirs{}, true},
		{"both overridden", nobody, nil, Override{Root: "/a", RunRoot: "/b"}, Dirs{"/a/vpod", "/b/vpod"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Default(tt.uid, func(k string) string { return tt.env[k] }, tt.override)
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("Default = %+v, %v; want %+v, error %t", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestMakeRefusesUnsafeRunDirectories(t *testing.T) {
	for _, tt := range []struct {
		name    string
		mode    fs.FileMode // of the parent
		run     fs.FileMode // of the run directory; 0 leaves it to Make
		wantErr bool
	}{
		{"a parent of ours", 0o700, 0, false},
		{"a parent for all, with the sticky bit", 0o777 | fs.ModeSticky, 0, false},
		{"a parent for all", 0o777, 0, true},
		{"readable by others", 0o700, 0o755, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parent := filepath.Join(t.TempDir(), "parent")
			d := Dirs{Data: filepath.Join(parent, "data"), Run: filepath.Join(parent, "run")}
			if err := errors.Join(os.Mkdir(parent, 0o700), os.Chmod(parent, tt.mode)); err != nil {
				t.Fatal(err)
			}
			if tt.run != 0 {
				if err := errors.Join(os.Mkdir(d.Run, 0o700), os.Chmod(d.Run, tt.run)); err != nil {
					t.Fatal(err)
				}
			}
			err := d.Make()
			if (err != nil) != tt.wantErr || (err != nil && !errors.Is(err, fs.ErrPermission)) {
				t.Errorf("Make: %v, want an error: %t", err, tt.wantErr)
			}
		})
	}
}
