package wholefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// says returns a writer of a text.
func says(text string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, text); return err }
}

// only fails unless the directory holds these names.
func only(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("the directory holds %q, want %q", got, names)
	}
}

func holds(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", path, got, err, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("n", 255)) // no room for more in a passing name
	broken := errors.New("broken")
	failing := func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		only(t, dir) // whoever is killed here leaves nothing
		return broken
	}
	if err := Write(path, 0o666, failing); !errors.Is(err, broken) {
		t.Errorf("error %v, want the writer's", err)
	}
	only(t, dir)
	for _, text := range []string{"one", "two"} {
		if err := Write(path, 0o666, says(text)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, text)
		only(t, dir, filepath.Base(path))
	}
	if err := Write(path, 0o666, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v, want the writer's", err)
	}
	holds(t, path, "two")
}

// TestPassingName is Write where files without names cannot be had.
func TestPassingName(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"one", "two"} {
		f := &File{path: filepath.Join(dir, "f")}
		if err := f.openPassing(0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(says(text)(f), f.Publish(), f.Close()); err != nil {
			t.Fatal(err)
		}
		holds(t, f.path, text)
		only(t, dir, "f")
	}
	f := &File{path: filepath.Join(dir, "g")}
	if err := errors.Join(f.openPassing(0o600), says("half")(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "f")
}

// The umask is the user's word on who may read what is made; it is the process's, so
// this test is not parallel to others.
func TestMode(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	defer syscall.Umask(syscall.Umask(0o027))
	for _, tt := range []struct {
		chmod fs.FileMode // before; 0: there is none
		want  fs.FileMode
	}{{0, 0o640}, {0o604, 0o604}} {
		if tt.chmod != 0 {
			if err := os.Chmod(path, tt.chmod); err != nil {
				t.Fatal(err)
			}
		}
		if err := Write(path, 0o666, says("x")); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != tt.want {
			t.Errorf("a file of mode %o became %v (%v), want %o", tt.chmod, info.Mode(), err, tt.want)
		}
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(path, 1234, 1235); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, 0o666, says("x")); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil || st.Uid != 1234 || st.Gid != 1235 {
		t.Errorf("owner %d:%d (%v), want those of the file before", st.Uid, st.Gid, err)
	}
}

func TestLinksStay(t *testing.T) {
	dir := t.TempDir()
	for _, l := range [][2]string{{"sub/real", "link"}, {"link", "linklink"}, {filepath.Join(dir, "sub", "abs"), "abslink"}, {"loop", "loop"}} {
		if err := os.Symlink(l[0], filepath.Join(dir, l[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ link, real string }{{"linklink", "sub/real"}, {"abslink", "sub/abs"}} {
		for _, text := range []string{"new", "replaced"} {
			if err := Write(filepath.Join(dir, tt.link), 0o666, says(text)); err != nil {
				t.Fatal(err)
			}
			holds(t, filepath.Join(dir, tt.real), text)
			if info, err := os.Lstat(filepath.Join(dir, tt.link)); err != nil || info.Mode().Type() != fs.ModeSymlink {
				t.Errorf("%s is no link any more: %v, %v", tt.link, info, err)
			}
		}
	}
	if err := Write(filepath.Join(dir, "loop"), 0o666, says("x")); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}

// What is no regular file is written to, never replaced: /dev/null, a pipe to a reader.
func TestPipeIsWrittenTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		b, _ := os.ReadFile(path)
		got <- string(b)
	}()
	if err := Write(path, 0o666, says("text")); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "text" {
		t.Errorf("the reader got %q", text)
	}
	only(t, filepath.Dir(path), "pipe")
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir, 0o666, says("x")); !errors.Is(err, unix.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
	if err := Write(filepath.Join(dir, "none", "f"), 0o666, says("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	only(t, dir)
}

// A library that wants a name gets one by which the file can be opened.
func TestPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.WriteFile(f.Path(), []byte("by name"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Publish(); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "by name")
}
