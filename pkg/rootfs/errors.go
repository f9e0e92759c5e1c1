package rootfs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// NoSpaceError reports that a file could not be made for want of disk space.
// It is syscall.ENOSPC to errors.Is.
type NoSpaceError struct {
	What      string // as "converting image 0123456789ab"
	Dir       string // where the space is missing
	NeedBytes int64  // about; 0 when not known
	FreeBytes int64  // when it was looked at
}

func (e *NoSpaceError) Error() string {
	msg := fmt.Sprintf("no space left on device while %s in %s", e.What, e.Dir)
	if e.NeedBytes > 0 {
		msg += fmt.Sprintf(": it needs about %s, %s are free", sizeText(e.NeedBytes), sizeText(e.FreeBytes))
	}
	return msg + "; free some space, for example with `vpod rm` or `vpod image prune`"
}

// Is makes errors.Is(err, syscall.ENOSPC) hold.
func (e *NoSpaceError) Is(target error) bool { return target == syscall.ENOSPC }

// MissingToolError reports that a program of the host is not installed. It is
// exec.ErrNotFound to errors.Is.
type MissingToolError struct {
	Tool    string // "mkfs.erofs"
	Package string // Debian's name of what holds it
	Hint    string // what to do instead; may be empty
}

func (e *MissingToolError) Error() string {
	msg := fmt.Sprintf("%s not found: install the package that holds it (%s on Debian)", e.Tool, e.Package)
	if e.Hint != "" {
		msg += ", or " + e.Hint
	}
	return msg
}

// Unwrap makes errors.Is(err, exec.ErrNotFound) hold.
func (e *MissingToolError) Unwrap() error { return exec.ErrNotFound }

// findTool looks a program up in $PATH and then where Debian keeps
// administrators' tools, which are not in an ordinary user's $PATH.
func findTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return filepath.Abs(path)
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", err
}

// diskFull reports whether err, or what a tool wrote, says that the disk is full.
func diskFull(err error, output string) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(output, "No space left on device") || strings.Contains(output, "Disk quota exceeded")
}

// freeBytes is what an ordinary user may still write below dir, and whether that
// could be found out.
func freeBytes(dir string) (n int64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}

// noSpace is a NoSpaceError about the space in dir now.
func noSpace(what, dir string, needBytes int64) *NoSpaceError {
	free, _ := freeBytes(dir)
	return &NoSpaceError{What: what, Dir: dir, NeedBytes: needBytes, FreeBytes: free}
}

// sizeText prints a number of bytes for people, as "1.5 GiB".
func sizeText(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + " " + units[i]
}
