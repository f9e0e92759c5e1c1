package tree

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// layers makes a lower and an upper directory.
func layers(t *testing.T) Source {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for device nodes and trusted attributes")
	}
	dir := t.TempDir()
	switch err := unix.Setxattr(dir, "trusted.test", []byte("x"), 0); {
	case errors.Is(err, unix.EPERM):
		t.Skip("needs a host's root, for trusted attributes")
	case errors.Is(err, unix.ENOTSUP):
		t.Skipf("the file system of %s keeps no trusted attributes", dir)
	case err != nil:
		t.Fatal(err)
	}
	src := Source{Lower: dir + "/lower", Upper: dir + "/upper", Merged: dir + "/lower"}
	for _, d := range []string{src.Lower, src.Upper} {
		must(t, os.Mkdir(d, 0o755))
	}
	must(t, unix.Setxattr(src.Upper, "trusted.overlay.test", []byte("x"), 0)) // never to be seen
	return src
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func whiteout(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, unix.Mknod(path, unix.S_IFCHR, 0))
}

func opaque(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(path, 0o755))
	must(t, unix.Setxattr(path, opaqueXattr, []byte("y"), 0))
}

type file struct {
	tar.Header
	content string
}

// read writes a tree and reads it back.
func read(t *testing.T, src Source, kind agentproto.TreeKind, exclude ...string) map[string]file {
	t.Helper()
	var b bytes.Buffer
	must(t, Write(t.Context(), &b, src, kind, exclude))
	files := map[string]file{}
	r := tar.NewReader(&b)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		files[h.Name] = file{*h, string(content)}
	}
}

func TestLayer(t *testing.T) {
	src := layers(t)
	write(t, src.Lower+"/kept/old", "old")
	write(t, src.Lower+"/emptied/old", "old")
	whiteout(t, src.Upper+"/kept/old")
	opaque(t, src.Upper+"/emptied")
	opaque(t, src.Upper+"/new") // as overlayfs marks new directories
	write(t, src.Upper+"/new/file", "content")
	must(t, os.Chown(src.Upper+"/new/file", 12, 70000))
	must(t, unix.Chmod(src.Upper+"/new/file", 0o4750))
	at := time.Unix(1700000000, 123456789)
	must(t, os.Chtimes(src.Upper+"/new/file", at, at))
	must(t, unix.Setxattr(src.Upper+"/new/file", "user.note", []byte("a\x00=b\n"), 0))
	must(t, unix.Setxattr(src.Upper+"/new/file", "trusted.own", []byte("1"), 0))
	must(t, unix.Setxattr(src.Upper+"/new/file", "trusted.overlay.origin", []byte("x"), 0))
	must(t, os.Link(src.Upper+"/new/file", src.Upper+"/new/other"))
	must(t, os.Symlink("../nowhere", src.Upper+"/new/link"))
	must(t, unix.Mkfifo(src.Upper+"/new/pipe", 0o600))
	must(t, unix.Mknod(src.Upper+"/new/device", unix.S_IFBLK|0o640, int(unix.Mkdev(7, 300))))
	long := strings.Repeat("x", 120) + "/" + strings.Repeat("ü", 60) + "\xff"
	write(t, src.Upper+"/"+long, "")
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer func() { _ = unix.Close(s) }()
	t.Chdir(src.Upper)
	must(t, unix.Bind(s, &unix.SockaddrUnix{Name: "socket"}))

	files := read(t, src, agentproto.TreeLayer)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	want := []string{"./", "emptied/", "emptied/.wh..wh..opq", "kept/", "kept/.wh.old", "new/", "new/device", "new/file", "new/link",
		"new/other", "new/pipe", strings.Repeat("x", 120) + "/", long}
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("files %q\nwant  %q", names, want)
	}
	first, second := files["new/file"], files["new/other"]
	if first.Typeflag == tar.TypeLink {
		first, second = second, first
	}
	if first.content != "content" || first.Uid != 12 || first.Gid != 70000 || first.Mode != 0o4750 || !first.ModTime.Equal(at) {
		t.Errorf("file: %+v", first)
	}
	attrs := map[string]string{}
	for k, v := range first.PAXRecords {
		if name, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
			attrs[name] = v
		}
	}
	if len(attrs) != 2 || attrs["user.note"] != "a\x00=b\n" || attrs["trusted.own"] != "1" {
		t.Errorf("attributes %q", attrs)
	}
	if second.Typeflag != tar.TypeLink || second.Linkname != first.Name {
		t.Errorf("second name: %+v", second)
	}
	if d := files["new/device"]; d.Typeflag != tar.TypeBlock || d.Devmajor != 7 || d.Devminor != 300 {
		t.Errorf("device: %+v", d)
	}
	if l := files["new/link"]; l.Typeflag != tar.TypeSymlink || l.Linkname != "../nowhere" {
		t.Errorf("link: %+v", l)
	}
}

func TestLayerRefusesWhatItCannotSay(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(dir string)
	}{
		{"a whiteout's name", func(dir string) { write(t, dir+"/.wh.x", "") }},
		{"a renamed lower directory", func(dir string) {
			must(t, os.Mkdir(dir+"/d", 0o755))
			must(t, unix.Setxattr(dir+"/d", redirectXattr, []byte("e"), 0))
		}},
		{"a lower file's content", func(dir string) {
			write(t, dir+"/f", "")
			must(t, unix.Setxattr(dir+"/f", metacopyXattr, nil, 0))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := layers(t)
			tt.make(src.Upper)
			if err := Write(t.Context(), io.Discard, src, agentproto.TreeLayer, nil); err == nil {
				t.Error("it was archived")
			}
		})
	}
}

func TestMergedLeavesOutWhatIsExcluded(t *testing.T) {
	src := layers(t)
	write(t, src.Merged+"/data/sub/file", "x")
	write(t, src.Merged+"/.wh.x", "a name like any other")
	files := read(t, src, agentproto.TreeMerged, "/data/../data/")
	if len(files) != 3 || files["data/"].Typeflag != tar.TypeDir || files[".wh.x"].content == "" {
		t.Errorf("files %+v", files)
	}
}

// TestChanges has what the Changes of containers/storage gives for the same trees.
func TestChanges(t *testing.T) {
	src := layers(t)
	same := time.Unix(1700000000, 0)
	write(t, src.Lower+"/a/b/old", "old")
	write(t, src.Lower+"/c/changed", "old")
	write(t, src.Lower+"/d/old", "old")
	whiteout(t, src.Upper+"/a/b/old")
	write(t, src.Upper+"/c/changed", "new")
	opaque(t, src.Upper+"/d")
	opaque(t, src.Upper+"/n")
	write(t, src.Upper+"/n/file", "")
	write(t, src.Upper+"/d/fresh\nline", "")
	for _, dir := range []string{"a", "a/b", "c", "d"} {
		must(t, os.Chtimes(src.Lower+"/"+dir, same, same))
		must(t, os.Chtimes(src.Upper+"/"+dir, same, same))
	}
	var b bytes.Buffer
	must(t, Write(t.Context(), &b, src, agentproto.TreeChanges, nil))
	got := strings.Split(strings.TrimSuffix(b.String(), "\x00"), "\x00")
	if a := slices.Index(got, "C/a"); a < 0 || a > slices.Index(got, "C/a/b") {
		t.Errorf("parents come late: %q", got)
	}
	slices.Sort(got)
	want := []string{"A/d/fresh\nline", "A/n", "A/n/file", "C/a", "C/a/b", "C/c/changed", "D/a/b/old", "D/d"}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q\nwant    %q", got, want)
	}
}

func TestWriteEndsWithItsContext(t *testing.T) {
	src := layers(t)
	write(t, src.Upper+"/file", "x")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more")
	cancel(why)
	if err := Write(ctx, io.Discard, src, agentproto.TreeLayer, nil); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

// TestFileThatShrinks wants an archive that can be read although the file is shorter
// than it was when its header was written.
func TestFileThatShrinks(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b, false)
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "abc")
	f, err := os.Open(path)
	must(t, err)
	defer func() { _ = f.Close() }()
	must(t, a.put(&tar.Header{Typeflag: tar.TypeReg, Name: "f", Size: 100000}))
	must(t, a.content(f, "f", 100000))
	must(t, a.tw.Close())
	r := tar.NewReader(&b)
	_, err = r.Next()
	must(t, err)
	got, err := io.ReadAll(r)
	must(t, err)
	if string(got) != "abc"+strings.Repeat("\x00", 99997) {
		t.Errorf("%d bytes, beginning with %q", len(got), got[:10])
	}
}
