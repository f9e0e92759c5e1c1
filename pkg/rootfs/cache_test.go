package rootfs

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	idA = strings.Repeat("a1", 32)
	idB = strings.Repeat("b2", 32)
)

func testCache(t *testing.T) *Cache {
	t.Helper()
	return NewCache(filepath.Join(t.TempDir(), "images"), slog.New(slog.DiscardHandler))
}

// mountDir is a MountFunc over a directory that counts mounts and releases.
type mountDir struct {
	dir              string
	mounts, releases atomic.Int32
}

func (m *mountDir) mount(context.Context) (string, func() error, error) {
	m.mounts.Add(1)
	return m.dir, func() error { m.releases.Add(1); return nil }, nil
}

func smallTree(t *testing.T) *mountDir {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hello"), []byte("world\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return &mountDir{dir: dir}
}

// fakeMkfs makes a program that stands for mkfs.erofs. In the script $OUT is the
// file to write.
func fakeMkfs(t *testing.T, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mkfs")
	text := "#!/bin/sh\nfor last; do OUT=$prev; prev=$last; done\n" + script + "\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEnsure(t *testing.T) {
	needTool(t, "mkfs.erofs")
	c, tree := testCache(t), smallTree(t)
	if _, ok := c.Lookup(idA); ok {
		t.Error("Lookup found a file in no directory")
	}
	var phases []Phase
	path, err := c.Ensure(t.Context(), idA, tree.mount, func(p Progress) {
		phases = append(phases, p.Phase)
		if p.DoneBytes > p.TotalBytes {
			t.Errorf("progress %d of %d", p.DoneBytes, p.TotalBytes)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(phases) < 2 || phases[0] != Converting || phases[len(phases)-1] != Done {
		t.Errorf("phases %v", phases)
	}
	if got, ok := c.Lookup(idA); !ok || got != path {
		t.Errorf("Lookup = %q, %t; want %q", got, ok, path)
	}
	assertOnly(t, c.dir, idA+imageSuffix)
	if again, err := c.Ensure(t.Context(), idA, tree.mount, nil); err != nil || again != path {
		t.Errorf("second Ensure = %q, %v", again, err)
	}
	if tree.mounts.Load() != 1 || tree.releases.Load() != 1 {
		t.Errorf("mounted %d times, released %d times; want 1", tree.mounts.Load(), tree.releases.Load())
	}
	entries, err := c.List()
	if err != nil || len(entries) != 1 || entries[0].ImageID != idA || entries[0].SizeBytes == 0 {
		t.Errorf("List = %+v, %v", entries, err)
	}
	if err := c.Remove(t.Context(), idA); err != nil {
		t.Error(err)
	}
	if err := c.Remove(t.Context(), idA); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
	assertOnly(t, c.dir)
}

func TestEnsureSameFileTwice(t *testing.T) {
	needTool(t, "mkfs.erofs")
	tree := smallTree(t)
	var files [2][]byte
	for i := range files {
		c := testCache(t)
		path, err := c.Ensure(t.Context(), idA, tree.mount, nil)
		if err != nil {
			t.Fatal(err)
		}
		files[i], _ = os.ReadFile(path)
		copy(files[i][erofsSuperOffset+4:], make([]byte, 4))    // checksum
		copy(files[i][erofsSuperOffset+24:], make([]byte, 8+4)) // build time
	}
	if string(files[0][erofsSuperOffset:erofsSuperOffset+erofsSuperSize]) != string(files[1][erofsSuperOffset:erofsSuperOffset+erofsSuperSize]) {
		t.Error("two conversions of the same tree have different superblocks")
	}
}

// Commands that want the same image at once convert it once, and the ones that
// wait say so.
func TestEnsureAtOnce(t *testing.T) {
	needTool(t, "mkfs.erofs")
	real := needTool(t, "mkfs.erofs")
	dir, tree := filepath.Join(t.TempDir(), "images"), smallTree(t)
	slow := fakeMkfs(t, `sleep 0.3; exec `+real+` "$@"`)
	var wg sync.WaitGroup
	var waited atomic.Int32
	for range 6 {
		c := NewCache(dir, slog.New(slog.DiscardHandler))
		c.mkfs = slow
		wg.Go(func() {
			_, err := c.Ensure(t.Context(), idA, tree.mount, func(p Progress) {
				if p.Phase == Waiting {
					waited.Add(1)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tree.mounts.Load() != 1 || waited.Load() != 5 {
		t.Errorf("%d conversions, %d waited; want 1 and 5", tree.mounts.Load(), waited.Load())
	}
	assertOnly(t, dir, idA+imageSuffix)
}

func TestEnsureFails(t *testing.T) {
	tests := []struct {
		name   string
		script string // of mkfs.erofs; "" is none installed
		want   string // in the message
		is     error
	}{
		{name: "no tool", want: "erofs-utils", is: exec.ErrNotFound},
		{name: "no tool says what else", want: "--rootfs-mode virtiofs"},
		{name: "tool complains", script: "echo '<E> erofs: cannot do it' >&2; exit 1", want: "cannot do it"},
		{name: "tool says nothing", script: "exit 3", want: "exit status 3"},
		{name: "disk full", script: "echo '<E> erofs: [Error 28] No space left on device' >&2; exit 1", want: "no space left on device", is: syscall.ENOSPC},
		{name: "disk full says how much", script: "echo 'No space left on device' >&2; exit 1", want: "it needs about 1 MiB"},
		{name: "killed", script: "kill -9 $$", want: "signal: killed"},
		{name: "lies", script: "exit 0", want: "not an EROFS file"},
		{name: "truncated", script: "head -c 4096 /dev/zero >$OUT", want: "magic number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, tree := testCache(t), smallTree(t)
			c.mkfs = "no-such-mkfs.erofs"
			if tt.script != "" {
				c.mkfs = fakeMkfs(t, tt.script)
			}
			_, err := c.Ensure(t.Context(), idA, tree.mount, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want it to say %q", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
			if tree.mounts.Load() != tree.releases.Load() {
				t.Errorf("mounted %d times, released %d times", tree.mounts.Load(), tree.releases.Load())
			}
			assertOnly(t, c.dir)
		})
	}
}

func TestEnsureMountFails(t *testing.T) {
	c := testCache(t)
	c.mkfs = fakeMkfs(t, "exit 0")
	broken := errors.New("layer is damaged")
	_, err := c.Ensure(t.Context(), idA, func(context.Context) (string, func() error, error) { return "", nil, broken }, nil)
	if !errors.Is(err, broken) {
		t.Errorf("Ensure: %v", err)
	}
	assertOnly(t, c.dir)
}

func TestEnsureCancelled(t *testing.T) {
	c, tree := testCache(t), smallTree(t)
	pidFile := filepath.Join(t.TempDir(), "pid")
	c.mkfs = fakeMkfs(t, "echo $$ >"+pidFile+".new; mv "+pidFile+".new "+pidFile+"; exec sleep 100")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for {
			if _, err := os.Stat(pidFile); err == nil {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel(context.Canceled)
	}()
	start := time.Now()
	_, err := c.Ensure(ctx, idA, tree.mount, nil)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 20*time.Second {
		t.Errorf("Ensure: %v after %v", err, time.Since(start))
	}
	if tree.releases.Load() != 1 {
		t.Error("the mount was not released")
	}
	assertOnly(t, c.dir)
}

// What a conversion killed with SIGKILL leaves is gone after the next one.
func TestEnsureAfterKill(t *testing.T) {
	needTool(t, "mkfs.erofs")
	c, tree := testCache(t), smallTree(t)
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{idA + ".123.tmp", idA + ".lock", idB + ".456.tmp"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Ensure(t.Context(), idA, tree.mount, nil); err != nil {
		t.Fatal(err)
	}
	assertOnly(t, c.dir, idA+imageSuffix, idB+".456.tmp")
	if _, err := c.Prune(t.Context(), func(string) bool { return true }); err != nil {
		t.Error(err)
	}
	assertOnly(t, c.dir, idA+imageSuffix)
}

func TestEnsureReplacesDamaged(t *testing.T) {
	needTool(t, "mkfs.erofs")
	for _, damage := range []string{"", "short", strings.Repeat("\x00", 8192)} {
		c, tree := testCache(t), smallTree(t)
		if err := os.MkdirAll(c.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.path(idA), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := c.Ensure(t.Context(), idA, tree.mount, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkErofs(path); err != nil {
			t.Error(err)
		}
		if err := os.Truncate(path, 4096); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 2048); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Lookup(idA); ok {
			t.Error("Lookup accepted a truncated file")
		}
	}
}

func TestEnsureNoSpace(t *testing.T) {
	c := NewCache(smallDisk(t, "1m"), slog.New(slog.DiscardHandler))
	c.mkfs = fakeMkfs(t, "exit 0")
	tree := smallTree(t)
	if err := os.WriteFile(filepath.Join(tree.dir, "big"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := c.Ensure(t.Context(), idA, tree.mount, nil)
	var full *NoSpaceError
	if !errors.As(err, &full) || full.NeedBytes < 3<<20 || full.FreeBytes > 1<<20 {
		t.Errorf("Ensure on a small disk: %v", err)
	}
	assertOnly(t, c.dir)
}

func TestBadImageID(t *testing.T) {
	c := testCache(t)
	for _, id := range []string{"", "abc", "../../etc/passwd", strings.Repeat("A", 64), strings.Repeat("/", 64), idA + "0"} {
		if _, err := c.Ensure(t.Context(), id, smallTree(t).mount, nil); err == nil {
			t.Errorf("Ensure(%q) accepted it", id)
		}
		if err := c.Remove(t.Context(), id); err == nil {
			t.Errorf("Remove(%q) accepted it", id)
		}
		if _, ok := c.Lookup(id); ok {
			t.Errorf("Lookup(%q) found it", id)
		}
	}
}

func TestPrune(t *testing.T) {
	needTool(t, "mkfs.erofs")
	c, tree := testCache(t), smallTree(t)
	if gone, err := c.Prune(t.Context(), nil); err != nil || len(gone) != 0 {
		t.Errorf("Prune of no directory = %v, %v", gone, err)
	}
	for _, id := range []string{idA, idB} {
		if _, err := c.Ensure(t.Context(), id, tree.mount, nil); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := c.tryLock(idA)
	if err != nil {
		t.Fatal(err)
	}
	if gone, err := c.Prune(t.Context(), func(id string) bool { return id == idB }); err != nil || len(gone) != 0 {
		t.Errorf("Prune of a locked image = %v, %v", gone, err)
	}
	unlock()
	gone, err := c.Prune(t.Context(), func(id string) bool { return id == idB })
	if err != nil || len(gone) != 1 || gone[0].ImageID != idA {
		t.Errorf("Prune = %v, %v; want %s", gone, err, idA)
	}
	assertOnly(t, c.dir, idB+imageSuffix)
}

func TestCheckErofs(t *testing.T) {
	good := make([]byte, 8192)
	binary.LittleEndian.PutUint32(good[1024:], erofsMagic)
	good[1024+12] = 12
	binary.LittleEndian.PutUint32(good[1024+36:], 2)
	tests := []struct {
		name   string
		change func([]byte) []byte
		ok     bool
	}{
		{name: "whole", change: func(b []byte) []byte { return b }, ok: true},
		{name: "longer", change: func(b []byte) []byte { return append(b, 0) }, ok: true},
		{name: "one byte short", change: func(b []byte) []byte { return b[:len(b)-1] }},
		{name: "no superblock", change: func(b []byte) []byte { return b[:1100] }},
		{name: "empty", change: func(b []byte) []byte { return nil }},
		{name: "magic", change: func(b []byte) []byte { b[1024]++; return b }},
		{name: "block size", change: func(b []byte) []byte { b[1036] = 40; return b }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, tt.change(append([]byte(nil), good...)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := checkErofs(path); (err == nil) != tt.ok {
				t.Errorf("checkErofs: %v, want ok %t", err, tt.ok)
			}
		})
	}
	if err := checkErofs(t.TempDir()); err == nil {
		t.Error("a directory passed")
	}
}

// A process that is killed takes its mkfs.erofs with it.
func TestToolDiesWithProcess(t *testing.T) {
	if dir := os.Getenv("VPOD_TEST_CONVERT_IN"); dir != "" {
		c := NewCache(filepath.Join(dir, "images"), slog.New(slog.DiscardHandler))
		c.mkfs = filepath.Join(dir, "mkfs")
		c.Ensure(t.Context(), idA, (&mountDir{dir: dir}).mount, nil)
		return
	}
	dir := t.TempDir()
	pipe := filepath.Join(dir, "alive")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\nexec 9>" + pipe + "\necho up >&9\nexec sleep 100\n"
	if err := os.WriteFile(filepath.Join(dir, "mkfs"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestToolDiesWithProcess$")
	cmd.Env = append(os.Environ(), "VPOD_TEST_CONVERT_IN="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(pipe) // opens once the tool has
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 16)
	if _, err := f.Read(buf); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	f.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := f.Read(buf); n != 0 || os.IsTimeout(err) {
		t.Errorf("the tool outlived its process: read %d, %v", n, err)
	}
}
