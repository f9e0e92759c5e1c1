package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// buildProgram is the program that builds images; pkg/builder is its body.
const buildProgram = "vpod-build"

// Build becomes the program that builds images. It returns only with an error. The
// process must be one that may open the image store.
func (e *Engine) Build(args []string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find vpod's own executable: %w", err)
	}
	program, err := findBuildProgram(exe, getenv(libDirEnv))
	if err != nil {
		return err
	}
	if err := e.dirs.Make(); err != nil {
		return err
	}
	if err := e.Close(); err != nil {
		return err
	}
	argv := []string{program, "--vpod=" + exe, "--vpod-work=" + filepath.Join(e.dirs.Run, "builds")}
	for _, o := range []struct{ name, dir string }{{"--vpod-root=", e.opts.Paths.Root}, {"--vpod-runroot=", e.opts.Paths.RunRoot}} {
		if o.dir == "" {
			continue
		}
		dir, err := filepath.Abs(o.dir)
		if err != nil {
			return err
		}
		argv = append(argv, o.name+dir)
	}
	if err := syscall.Exec(program, append(argv, args...), os.Environ()); err != nil {
		return fmt.Errorf("execute %s: %w", program, err)
	}
	return nil // not reached
}

// findBuildProgram looks where the guest's files are, see findGuestFiles.
func findBuildProgram(exe, libDir string) (string, error) {
	exe, err := filepath.EvalSymlinks(exe)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(exe)
	dirs := []string{filepath.Join(filepath.Dir(dir), "lib", "vpod"), dir}
	if libDir != "" {
		dirs = append([]string{libDir}, dirs...)
	}
	var errs []error
	for _, d := range dirs {
		path := filepath.Join(d, buildProgram)
		err := unix.Access(path, unix.X_OK)
		if err == nil {
			return path, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", path, err))
	}
	return "", fmt.Errorf("the program that builds images is missing: run `make build`, or `make install`: %w", errors.Join(errs...))
}
