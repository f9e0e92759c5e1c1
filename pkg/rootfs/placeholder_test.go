package rootfs

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNewPlaceholders(t *testing.T) {
	needTool(t, "mkfs.erofs")
	needTool(t, "mke2fs")
	fsck, dump := needTool(t, "e2fsck"), needTool(t, "dump.erofs")
	debugfs := needTool(t, "debugfs")
	const size = 64 << 30
	tests := []struct {
		name          string
		root, scratch bool
	}{
		{"both", true, true},
		{"read-only", true, false},
		{"neither", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var root, scratch string
			var want []string
			if tt.root {
				root = filepath.Join(dir, "root.img")
				want = append(want, "root.img")
			}
			if tt.scratch {
				scratch = filepath.Join(dir, "scratch.img")
				want = append(want, "scratch.img")
			}
			program := map[string][]byte{"/warm": []byte("#!program")}
			if err := NewPlaceholders(t.Context(), root, scratch, program, size); err != nil {
				t.Fatal(err)
			}
			assertOnly(t, dir, want...)
			for _, name := range want {
				info, err := os.Stat(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if info.Size() != size {
					t.Errorf("%s is %d bytes long, want %d", name, info.Size(), int64(size))
				}
				if used, err := allocated(filepath.Join(dir, name)); err != nil || used > 1<<20 {
					t.Errorf("%s takes %d bytes of the disk, %v", name, used, err)
				}
			}
			if tt.root {
				out, err := exec.Command(dump, "--path=/warm", root).CombinedOutput()
				if text := strings.Join(strings.Fields(string(out)), " "); err != nil || !strings.Contains(text, "Size: 9") || !strings.Contains(text, "0755") {
					t.Errorf("dump.erofs of /warm: %v\n%s", err, out)
				}
				for _, made := range []string{"/dev", "/etc", "/proc", "/sys", "/tmp", "/var/tmp", "/run"} {
					if out, err := exec.Command(dump, "--path="+made, root).CombinedOutput(); err != nil || !strings.Contains(string(out), "irectory") {
						t.Errorf("dump.erofs of %s: %v\n%s", made, err, out)
					}
				}
			}
			if tt.scratch {
				// The file system is of its usual size; the disk goes on behind it.
				if out, err := exec.Command(fsck, "-fn", scratch).CombinedOutput(); err != nil {
					t.Errorf("e2fsck: %v\n%s", err, out)
				}
				out, err := exec.Command(debugfs, "-R", "ls", scratch).Output()
				if err != nil || !strings.Contains(string(out), ScratchUpper) || !strings.Contains(string(out), ScratchWork) {
					t.Errorf("debugfs ls: %v\n%s", err, out)
				}
			}
		})
	}
}

func TestNewPlaceholdersFails(t *testing.T) {
	needTool(t, "mkfs.erofs")
	dir := t.TempDir()
	absent := filepath.Join(dir, "absent", "root.img")
	if err := NewPlaceholders(t.Context(), absent, "", nil, 1<<30); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewPlaceholders(ctx, filepath.Join(dir, "root.img"), "", nil, 1<<30); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	var missing *MissingToolError
	err := NewPlaceholders(t.Context(), filepath.Join(dir, "root.img"), "", nil, 1<<30)
	if err != nil && (!errors.As(err, &missing) || !strings.Contains(err.Error(), "--template never")) {
		t.Errorf("without mkfs.erofs: %v, want a MissingToolError with what to do", err)
	}
}

func TestTemplateSpace(t *testing.T) {
	dir := t.TempDir()
	free, ok := freeBytes(dir)
	if !ok {
		t.Skip("the free space is not known here")
	}
	if err := TemplateSpace(dir); (err != nil) != (free < templateBytes) {
		t.Errorf("TemplateSpace = %v with %d bytes free", err, free)
	}
	cause := errors.New("signal SIGBUS")
	if err := ExplainFull(cause, dir); free > fullBytes && !errors.Is(err, cause) {
		t.Errorf("ExplainFull = %v with %d bytes free", err, free)
	}
	if err := noSpace("making a machine template", dir, templateBytes); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("error %v", err)
	}
}
