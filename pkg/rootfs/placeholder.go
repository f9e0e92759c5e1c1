package rootfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// NewPlaceholders makes the disks a machine template is warmed up with: at root,
// when it is not empty, an EROFS file system that holds the given files (absolute
// path to content, executable) and the directories every container needs, at
// scratch, when it is not empty, a scratch disk. Both are then made sizeBytes long.
//
// Errors are as those of Ensure and NewScratch.
func NewPlaceholders(ctx context.Context, root, scratch string, files map[string][]byte, sizeBytes int64) error {
	if root != "" {
		if err := placeholderRoot(ctx, root, files); err != nil {
			return fmt.Errorf("make the template's root disk: %w", err)
		}
		if err := os.Truncate(root, sizeBytes); err != nil {
			return fmt.Errorf("make the template's root disk: %w", err)
		}
	}
	if scratch == "" {
		return nil
	}
	if err := formatBase(ctx, scratch, smallScratchBytes, true); err != nil {
		return err
	}
	if err := os.Truncate(scratch, sizeBytes); err != nil {
		return fmt.Errorf("make the template's scratch disk: %w", err)
	}
	return nil
}

// templateBytes is about what a machine template takes of the disk, and
// fullBytes what a full disk has left: the rest of a block here and there.
const (
	templateBytes = 64 << 20
	fullBytes     = 1 << 20
)

// TemplateSpace returns a *NoSpaceError when a template cannot be made in dir for
// want of space.
func TemplateSpace(dir string) error {
	if free, ok := freeBytes(dir); ok && free < templateBytes {
		return noSpace("making a machine template", dir, templateBytes)
	}
	return nil
}

// ExplainFull turns err, for which a template could not be made in dir, into a
// *NoSpaceError if the disk is full by now: QEMU, whose memory is a mapped file
// there, ends by SIGBUS then and says nothing.
func ExplainFull(err error, dir string) error {
	if free, ok := freeBytes(dir); ok && free < fullBytes {
		return noSpace("making a machine template", dir, templateBytes)
	}
	return err
}

// placeholderRoot makes an EROFS file of a tree of its own.
func placeholderRoot(ctx context.Context, path string, files map[string][]byte) error {
	mkfs, err := findTool("mkfs.erofs")
	if err != nil {
		return &MissingToolError{Tool: "mkfs.erofs", Package: "erofs-utils", Hint: "run with --template never"}
	}
	tree, err := os.MkdirTemp(filepath.Dir(path), ".tree-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	for _, dir := range []string{"dev", "etc", "proc", "sys", "tmp", "var/tmp", "run"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(tree, name), content, 0o755); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, mkfs, "--quiet", path, tree)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	output, err := runTool(cmd, nil)
	switch {
	case err == nil:
		return nil
	case diskFull(err, output):
		return noSpace("making a machine template", filepath.Dir(path), 0)
	}
	return fmt.Errorf("mkfs.erofs: %w", toolError(ctx, err, output))
}
