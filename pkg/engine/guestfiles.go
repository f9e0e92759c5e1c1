package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Names of the guest files below a library directory.
const (
	kernelFile    = "vmlinux"
	initramfsFile = "initramfs.cpio"
)

// libDirEnv names another library directory, for a build that is not installed.
const libDirEnv = "VPOD_LIBDIR"

// guestFiles are what every machine boots.
type guestFiles struct {
	Kernel    string
	Initramfs string
}

// findGuestFiles looks for kernel and initramfs: in $VPOD_LIBDIR, in
// ../lib/vpod beside the executable's directory (an installed vpod), or in the
// executable's own directory (a built one).
func findGuestFiles(opts Options) (guestFiles, error) {
	g := guestFiles{Kernel: opts.Kernel, Initramfs: opts.Initramfs}
	var dirs []string
	if dir := os.Getenv(libDirEnv); dir != "" {
		dirs = append(dirs, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if exe, err = filepath.EvalSymlinks(exe); err == nil {
			dir := filepath.Dir(exe)
			dirs = append(dirs, filepath.Join(filepath.Dir(dir), "lib", "vpod"), dir)
		}
	}
	find := func(have *string, name string) error {
		if *have != "" {
			return nil
		}
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				*have = path
				return nil
			} else if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
				return fmt.Errorf("look for the guest's %s: %w", name, err)
			}
		}
		return fmt.Errorf("the guest's %s is in none of %q: run `make build`, or `make install`, or set %s", name, dirs, libDirEnv)
	}
	return g, errors.Join(find(&g.Kernel, kernelFile), find(&g.Initramfs, initramfsFile))
}
