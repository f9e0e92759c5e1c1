package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links followed in one path, as the kernel does.
const maxLinks = 40

// resolve returns the path that p means in the current root with every symbolic
// link replaced, also when parts of it do not exist yet: a link that leads
// nowhere (/etc/resolv.conf of many images) is where the file is to be made.
func resolve(p string) (string, error) {
	done, rest := "/", path.Clean("/"+p)
	for links := 0; rest != ""; {
		name, tail, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		rest = tail
		switch name {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, name)
		target, err := os.Readlink(next)
		if err != nil {
			done = next // no link, or nothing there
			continue
		}
		if links++; links > maxLinks {
			return "", &os.PathError{Op: "resolve", Path: p, Err: unix.ELOOP}
		}
		if strings.HasPrefix(target, "/") {
			done = "/"
		}
		rest = target + "/" + rest
	}
	return done, nil
}

// makeTarget makes sure that a mount point is there and returns its path.
func makeTarget(p string, directory bool) (string, error) {
	p, err := resolve(p)
	if err != nil {
		return "", err
	}
	if directory {
		if err := os.MkdirAll(p, 0o755); err != nil {
			return "", fmt.Errorf("make mount point: %w", err)
		}
		return p, nil
	}
	if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
		return "", fmt.Errorf("make mount point: %w", err)
	}
	fd, err := unix.Open(p, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_WRONLY, 0o644)
	if err == nil {
		_ = unix.Close(fd)
	} else if !errors.Is(err, unix.EEXIST) {
		return "", fmt.Errorf("make mount point %s: %w", p, err)
	}
	return p, nil
}
