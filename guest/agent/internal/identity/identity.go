// Package identity looks users and groups up in a container's own /etc/passwd and
// /etc/group. It must run on a thread whose root is the container's.
package identity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"
)

// Identity is whom a process runs as.
type Identity struct {
	UID, GID uint32
	Groups   []uint32 // supplementary; the first is GID
	Home     string   // "/" when the user is not in /etc/passwd
}

// Error reports a user or group that is not in the image, or no valid name or
// number.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Files opens the databases; the zero value reads those of the current root.
type Files struct{ Passwd, Group string }

// maxDatabase bounds what is read of a database, in bytes.
const maxDatabase = 16 << 20

// Lookup resolves spec, "name|uid[:group|gid]"; "" is uid 0. Without a group it
// gives the user's own and all that list the user. more are further groups, names
// or numbers.
func (f Files) Lookup(spec string, more []string) (Identity, error) {
	group := f.open(f.Group, "/etc/group")
	u, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, f.open(f.Passwd, "/etc/passwd"), group)
	if err != nil {
		return Identity{}, &Error{err}
	}
	id := Identity{Home: u.Home}
	if id.Home == "" {
		id.Home = "/"
	}
	// The primary group is among them, or a process could shed a group that a file
	// denies something to (CVE-2022-2989).
	gids := append([]int{u.Gid}, u.Sgids...)
	if len(more) > 0 {
		extra, err := user.GetAdditionalGroups(more, f.open(f.Group, "/etc/group"))
		if err != nil {
			return Identity{}, &Error{err}
		}
		gids = append(gids, extra...)
	}
	if id.UID, err = number(u.Uid); err != nil {
		return Identity{}, err
	}
	if id.GID, err = number(u.Gid); err != nil {
		return Identity{}, err
	}
	seen := make(map[int]bool)
	for _, g := range gids {
		if seen[g] {
			continue
		}
		seen[g] = true
		n, err := number(g)
		if err != nil {
			return Identity{}, err
		}
		id.Groups = append(id.Groups, n)
	}
	return id, nil
}

// Home returns the home directory of a uid, "/" when it has none.
func (f Files) Home(uid uint32) string {
	u, err := user.GetExecUser(fmt.Sprint(uid), &user.ExecUser{Home: "/"}, f.open(f.Passwd, "/etc/passwd"), strings.NewReader(""))
	if err != nil || u.Home == "" {
		return "/"
	}
	return u.Home
}

func number(n int) (uint32, error) {
	if n < 0 || n >= math.MaxUint32 { // the last one means "leave it" to the kernel
		return 0, &Error{fmt.Errorf("user or group id %d is out of range", n)}
	}
	return uint32(n), nil
}

// open reads a database. What is not a regular file, or not there, is an empty
// one: the image says what it is, and the agent must not wait for a pipe.
func (f Files) open(path, fallback string) io.Reader {
	if path == "" {
		path = fallback
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return strings.NewReader("")
	}
	file := os.NewFile(uintptr(fd), path)
	defer func() { _ = file.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return strings.NewReader("")
	}
	b, err := io.ReadAll(io.LimitReader(file, maxDatabase))
	if err != nil && !errors.Is(err, io.EOF) {
		return strings.NewReader("")
	}
	return strings.NewReader(string(b))
}
