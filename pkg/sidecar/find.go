package sidecar

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NotFoundError reports a helper that is not installed.
type NotFoundError struct {
	Name    string   // of the program
	Package string   // Debian package that has it
	Looked  []string // where it was looked for
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s is not installed (looked in %s): install it, on Debian with apt-get install %s", e.Name, strings.Join(e.Looked, ", "), e.Package)
}

// FindPasst returns the path of passt, looked for in the directories of path (as
// $PATH) and in /usr/bin; a *NotFoundError when there is none.
func FindPasst(path string) (string, error) {
	return find("passt", "passt", filepath.SplitList(path), "/usr/bin/passt")
}

// FindVirtiofsd returns the path of virtiofsd, which distributions keep outside of
// $PATH; a *NotFoundError when there is none.
func FindVirtiofsd(path string) (string, error) {
	// /usr/libexec has the Rust program (Debian 13), /usr/lib/qemu the C one (Debian 12).
	return find("virtiofsd", "qemu-system-common (Debian 12) or virtiofsd (later)", filepath.SplitList(path),
		"/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd")
}

// find returns the first of places, or of the program's name in dirs, that is
// executable. Fixed places go before a user's directories.
func find(name, pkg string, dirs []string, places ...string) (string, error) {
	for _, place := range places {
		if _, err := exec.LookPath(place); err == nil {
			return place, nil
		}
	}
	for _, dir := range dirs {
		if !filepath.IsAbs(dir) {
			continue
		}
		place := filepath.Join(dir, name)
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return place, nil
		}
	}
	return "", &NotFoundError{Name: name, Package: pkg, Looked: append(places, "$PATH")}
}
