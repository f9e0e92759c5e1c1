package rootfs

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// needTool skips a test when a program of the host is missing.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := findTool(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func TestNewScratch(t *testing.T) {
	needTool(t, "mke2fs")
	fsck := needTool(t, "e2fsck")
	debugfs := needTool(t, "debugfs")
	tests := []struct {
		name      string
		size      int64
		ephemeral bool
		want      int64
	}{
		{name: "default", size: 0, want: DefaultScratchBytes},
		{name: "least", size: MinScratchBytes, want: MinScratchBytes},
		{name: "least ephemeral", size: MinScratchBytes, ephemeral: true, want: MinScratchBytes},
		{name: "rounded up", size: 100<<20 + 1, want: 101 << 20},
		{name: "large", size: 100 << 30, ephemeral: true, want: 100 << 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			cache := filepath.Join(dir, "cache")
			for _, name := range []string{"first", "second"} {
				path := filepath.Join(dir, name)
				start := time.Now()
				if err := NewScratch(t.Context(), ScratchOptions{Path: path, SizeBytes: tt.size, CacheDir: cache, Ephemeral: tt.ephemeral}); err != nil {
					t.Fatalf("NewScratch(%d): %v", tt.size, err)
				}
				t.Logf("%s disk in %v", name, time.Since(start))
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if info.Size() != tt.want || info.Mode().Perm() != 0o600 {
					t.Errorf("size %d mode %v, want %d and 0600", info.Size(), info.Mode(), tt.want)
				}
				if out, err := exec.Command(fsck, "-fn", path).CombinedOutput(); err != nil {
					t.Errorf("e2fsck: %v\n%s", err, out)
				}
				for _, sub := range []string{ScratchUpper, ScratchWork} {
					out, err := exec.Command(debugfs, "-R", "stat "+sub, path).Output()
					if err != nil {
						t.Fatal(err)
					}
					text := strings.Join(strings.Fields(string(out)), " ")
					for _, want := range []string{"Type: directory Mode: 0755", "User: 0 Group: 0"} {
						if !strings.Contains(text, want) {
							t.Errorf("%s: %q is not in %q", sub, want, text)
						}
					}
				}
				if used, err := ScratchUsage(path, cache); err != nil || used > 64<<10 {
					t.Errorf("ScratchUsage of a fresh disk = %d, %v; want about 0", used, err)
				}
			}
			assertOnly(t, dir, "cache", "first", "second")
		})
	}
}

func TestScratchUsage(t *testing.T) {
	needTool(t, "mke2fs")
	dir := t.TempDir()
	path := filepath.Join(dir, "disk")
	if err := NewScratch(t.Context(), ScratchOptions{Path: path, SizeBytes: 64 << 20, CacheDir: dir}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 4<<20), 32<<20); err != nil {
		t.Fatal(err)
	}
	f.Sync()
	if used, err := ScratchUsage(path, dir); err != nil || used < 4<<20-128<<10 || used > 5<<20 {
		t.Errorf("ScratchUsage after writing 4 MiB = %d, %v", used, err)
	}
	if _, err := ScratchUsage(filepath.Join(dir, "absent"), dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ScratchUsage of no file: %v", err)
	}
}

func TestScratchSizeRefused(t *testing.T) {
	for _, size := range []int64{-1, 1, MinScratchBytes - 1, MaxScratchBytes + 1} {
		dir := t.TempDir()
		err := NewScratch(t.Context(), ScratchOptions{Path: filepath.Join(dir, "d"), SizeBytes: size, CacheDir: dir})
		var bad *ScratchSizeError
		if !errors.As(err, &bad) {
			t.Errorf("NewScratch(%d): %v, want a ScratchSizeError", size, err)
		}
		assertOnly(t, dir)
	}
	if msg := (&ScratchSizeError{SizeBytes: 4 << 20}).Error(); !strings.Contains(msg, "least that works is 16 MiB") {
		t.Errorf("message %q does not name the least size", msg)
	}
}

// Twenty containers created at once, none of them first.
func TestNewScratchAtOnce(t *testing.T) {
	needTool(t, "mke2fs")
	fsck := needTool(t, "e2fsck")
	dir := t.TempDir()
	var wg sync.WaitGroup
	paths := make([]string, 20)
	for i := range paths {
		paths[i] = filepath.Join(dir, strings.Repeat("x", i+1))
		wg.Go(func() {
			if err := NewScratch(t.Context(), ScratchOptions{Path: paths[i], SizeBytes: 64 << 20, CacheDir: filepath.Join(dir, "cache"), Ephemeral: true}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, path := range paths {
		if out, err := exec.Command(fsck, "-fn", path).CombinedOutput(); err != nil {
			t.Errorf("e2fsck %s: %v\n%s", path, err, out)
		}
	}
	assertOnly(t, filepath.Join(dir, "cache"), "scratch-v1-67108864-nojournal.ext4")
}

func TestNewScratchDamagedBase(t *testing.T) {
	needTool(t, "mke2fs")
	dir := t.TempDir()
	opts := ScratchOptions{Path: filepath.Join(dir, "d"), SizeBytes: 64 << 20, CacheDir: dir}
	base := basePath(dir, opts.SizeBytes, false)
	if err := os.WriteFile(base, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := NewScratch(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("with a damaged base: %v", err)
	}
	if err := NewScratch(t.Context(), opts); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestNewScratchCancelled(t *testing.T) {
	needTool(t, "mke2fs")
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := NewScratch(ctx, ScratchOptions{Path: filepath.Join(dir, "d"), CacheDir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("NewScratch with an ended context: %v", err)
	}
	assertOnly(t, dir)
}

func TestNewScratchNoSpace(t *testing.T) {
	needTool(t, "mke2fs")
	dir := smallDisk(t, "256k")
	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(fill, zeros{}, 1<<20) // until it is full
	fill.Close()
	err = NewScratch(t.Context(), ScratchOptions{Path: filepath.Join(dir, "d"), CacheDir: t.TempDir()})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir) {
		t.Errorf("on a full disk: %v", err)
	}
	assertOnly(t, dir, "fill")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// smallDisk mounts a tmpfs of the given size for a test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("cannot mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// assertOnly fails unless dir holds exactly the named entries.
func assertOnly(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, e := range entries {
		have = append(have, e.Name())
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, have, want)
	}
}

// A scratch disk must be what the kernel mounts without complaint.
func TestScratchMounts(t *testing.T) {
	needTool(t, "mke2fs")
	for _, ephemeral := range []bool{false, true} {
		dir := t.TempDir()
		disk, mnt := filepath.Join(dir, "d"), filepath.Join(dir, "m")
		if err := NewScratch(t.Context(), ScratchOptions{Path: disk, SizeBytes: 1 << 30, CacheDir: dir, Ephemeral: ephemeral}); err != nil {
			t.Fatal(err)
		}
		os.Mkdir(mnt, 0o700)
		loopMount(t, disk, mnt, "ext4", "loop")
		if err := os.WriteFile(filepath.Join(mnt, ScratchUpper, "file"), []byte("x"), 0o600); err != nil {
			t.Error(err)
		}
		var st syscall.Statfs_t
		if err := syscall.Statfs(mnt, &st); err != nil || int64(st.Bavail)*st.Bsize < 9<<30/10 {
			t.Errorf("free on a disk of 1 GiB: %d, %v", int64(st.Bavail)*st.Bsize, err)
		}
	}
}

// loopMount mounts a file for a test, or skips it.
func loopMount(t *testing.T, file, dir, fstype, options string) {
	t.Helper()
	out, err := exec.Command("mount", "-t", fstype, "-o", options, file, dir).CombinedOutput()
	if err != nil {
		t.Skipf("cannot loop-mount %s: %v: %s", fstype, err, out)
	}
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
}
