package rootfs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The converted file must hold what the tree held: modes, owners beyond 16 bits,
// times to the nanosecond, extended attributes, links, devices, odd names.
func TestConversionKeepsEverything(t *testing.T) {
	needTool(t, "mkfs.erofs")
	if os.Geteuid() != 0 {
		t.Skip("needs root to make devices and to loop-mount")
	}
	dir := t.TempDir()
	makeOddTree(t, dir)
	want, err := describeTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := NewCache(filepath.Join(t.TempDir(), "images"), slog.New(slog.DiscardHandler))
	path, err := c.Ensure(t.Context(), idA, (&mountDir{dir: dir}).mount, nil)
	if err != nil {
		t.Fatal(err)
	}
	mnt := t.TempDir()
	loopMount(t, path, mnt, "erofs", "loop,ro")
	have, err := describeTree(mnt)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if have[name] != want[name] {
			t.Errorf("%.60q\n have %s\n want %s", name, have[name], want[name])
		}
		delete(have, name)
	}
	if len(have) != 0 {
		t.Errorf("made up: %v", have)
	}
}

// makeOddTree fills dir with one of everything.
func makeOddTree(t *testing.T, dir string) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	file := func(name string, data []byte, mode uint32) {
		t.Helper()
		check(os.WriteFile(at(name), data, 0o600))
		check(unix.Chmod(at(name), mode))
	}
	check(os.MkdirAll(at("a/b/c"), 0o755))
	check(os.Mkdir(at("empty"), 0o700))
	check(unix.Chmod(at("a"), 0o1777))
	file("plain", []byte("hello\n"), 0o644)
	file("setuid", []byte("x"), 0o6755)
	check(unix.Lchown(at("setuid"), 100000, 4000000000))
	check(unix.Chmod(at("setuid"), 0o6755)) // chown dropped the bits
	file("none", nil, 0)
	file("old", nil, 0o644)
	file("nonutf\xff\xfe\x80", []byte("n"), 0o644)
	file("new\nline and blank", []byte("n"), 0o644)
	file(strings.Repeat("y", 254), []byte("long"), 0o644)
	file("tail", bytes.Repeat([]byte("A"), 5000), 0o644)
	file("blocks", bytes.Repeat([]byte("0123456789abcdef"), 1<<16), 0o644)
	check(os.Link(at("plain"), at("a/hard")))
	check(os.Link(at("plain"), at("a/b/hard")))
	check(os.Symlink("plain", at("sym")))
	check(os.Symlink("/not/there", at("dangling")))
	check(os.Symlink(strings.Repeat("z", 4000), at("longlink")))
	check(unix.Mkfifo(at("fifo"), 0o640))
	check(unix.Mknod(at("char"), unix.S_IFCHR|0o620, int(unix.Mkdev(5, 1))))
	check(unix.Mknod(at("block"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	check(unix.Mknod(at("sock"), unix.S_IFSOCK|0o755, 0))
	sparse, err := os.Create(at("sparse"))
	check(err)
	check(sparse.Truncate(20 << 20))
	_, err = sparse.WriteAt([]byte("end"), 20<<20)
	check(err)
	check(sparse.Close())
	for i := range 600 { // a directory of several blocks
		file(fmt.Sprintf("a/b/c/entry-%04d-%s", i, strings.Repeat("e", 40)), []byte{byte(i)}, 0o644)
	}
	deep := dir
	for range 12 {
		deep = filepath.Join(deep, strings.Repeat("d", 250))
	}
	check(os.MkdirAll(deep, 0o711))

	netRaw, err := hex.DecodeString("0100000200200000000000000000000000000000") // cap_net_raw+ep, version 2
	check(err)
	check(unix.Lsetxattr(at("plain"), "security.capability", netRaw, 0))
	for name, value := range map[string]string{"user.one": "1", "user.empty": "", "user.big": strings.Repeat("v", 2000), "trusted.t": "t"} {
		if err := unix.Lsetxattr(at("tail"), name, []byte(value), 0); errors.Is(err, unix.ENOTSUP) {
			t.Logf("no %s on this file system", name)
		} else {
			check(err)
		}
	}
	for _, name := range []string{"a", "none", "setuid", "old"} { // one value of many, kept once
		if err := unix.Lsetxattr(at(name), "trusted.shared", []byte("same"), 0); !errors.Is(err, unix.ENOTSUP) {
			check(err)
		}
	}
	for name, when := range map[string]time.Time{
		"old":   time.Date(1960, 1, 2, 3, 4, 5, 0, time.UTC),
		"plain": time.Date(2001, 2, 3, 4, 5, 6, 123456789, time.UTC),
		"none":  time.Date(2100, 1, 1, 0, 0, 0, 1, time.UTC),
		"empty": time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		check(os.Chtimes(at(name), when, when))
	}
}

// describeTree returns a line per path that says all there is to know of it.
// Hard links are told by the first path, in order, of the same file.
func describeTree(root string) (map[string]string, error) {
	lines := make(map[string]string)
	first := make(map[uint64]string)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		line := fmt.Sprintf("mode=%o uid=%d gid=%d mtime=%d.%09d rdev=%x", st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec, st.Rdev)
		if !d.IsDir() {
			line += fmt.Sprintf(" size=%d links=%d", st.Size, st.Nlink)
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			line += " same=" + first[st.Ino]
		}
		switch d.Type() {
		case fs.ModeSymlink:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " to=" + to
		case 0:
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			line += fmt.Sprintf(" data=%x", h.Sum(nil)[:8])
		}
		attrs, err := readXattrs(path)
		lines[name] = line + attrs
		return err
	})
	return lines, err
}

func readXattrs(path string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return "", err
	}
	names := strings.Split(strings.TrimRight(string(buf[:n]), "\x00"), "\x00")
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		if name == "" {
			continue
		}
		n, err := unix.Lgetxattr(path, name, buf)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, " %s=%x", name, buf[:n])
	}
	return text.String(), nil
}

// Names that mkfs.erofs 1.5 cannot keep are refused by name, not lost.
func TestConversionNamesWhatItCannotKeep(t *testing.T) {
	needTool(t, "mkfs.erofs")
	c, tree := testCache(t), smallTree(t)
	name := strings.Repeat("x", 255)
	if err := os.WriteFile(filepath.Join(tree.dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := c.Ensure(t.Context(), idA, tree.mount, nil)
	if err == nil {
		t.Log("this mkfs.erofs keeps names of 255 bytes")
		return
	}
	if !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "virtiofs") {
		t.Errorf("error does not name the file or what to do: %v", err)
	}
	assertOnly(t, c.dir)
}

func TestMeasureTree(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 5000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "c")); err != nil {
		t.Fatal(err)
	}
	got, err := measureTree(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if data := got.bytes - erofsOverhead; got.files != 4 || data < 4*erofsBlock || data > 5*erofsBlock {
		t.Errorf("measureTree = %+v; want 4 files, the data of two of them", got)
	}
	for i := range 2 * ctxCheckPeriod {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("n", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := measureTree(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
}
