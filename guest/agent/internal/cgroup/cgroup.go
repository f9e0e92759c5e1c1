// Package cgroup makes the control group (version 2) of each container, sets its
// limits and asks it what runs in it.
package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Root is where boot mounted the hierarchy.
const Root = "/sys/fs/cgroup"

// Group is the control group of a container.
type Group struct {
	dir string
	fd  int // of dir, for CLONE_INTO_CGROUP

	watch *watch // nil without
}

// Dir returns the group's directory.
func (g *Group) Dir() string { return g.dir }

// FD returns a descriptor of the directory, owned by the group.
func (g *Group) FD() int { return g.fd }

// write sets one of the group's files.
func (g *Group) write(file, value string) error {
	fd, err := unix.Openat(g.fd, file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.Write(fd, []byte(value)); err != nil {
		return fmt.Errorf("set %s to %q: %w", file, value, err)
	}
	return nil
}

// Kill kills every process in the group and below it.
func (g *Group) Kill() error { return g.write("cgroup.kill", "1") }

// PIDs lists the processes in the group and below it, in the agent's pid
// namespace.
func (g *Group) PIDs() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(g.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return ignoreGone(err)
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return ignoreGone(err)
		}
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// ignoreGone forgives a group that went while it was looked at, and a threaded
// one, whose processes its parent lists.
func ignoreGone(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return err
}

// OOMKills returns how many processes of the group have been killed because
// memory ran out.
func (g *Group) OOMKills() uint64 {
	b, err := os.ReadFile(g.dir + "/memory.events")
	if err != nil {
		return 0
	}
	return field(string(b), "oom_kill")
}

// field returns the number after key in a file of "key number" lines.
func field(text, key string) uint64 {
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		if k == key {
			n, _ := strconv.ParseUint(v, 10, 64)
			return n
		}
	}
	return 0
}

// removeWait bounds the wait for processes that were killed to be gone.
const removeWait = 5 * time.Second

// Remove kills what still runs in the group and removes it and those below it.
func (g *Group) Remove() error {
	killed := g.Kill()
	if g.watch != nil {
		g.watch.end()
		g.watch = nil
	}
	for end := time.Now().Add(removeWait); ; time.Sleep(2 * time.Millisecond) {
		err := removeTree(g.dir)
		if err == nil || time.Now().After(end) {
			_ = unix.Close(g.fd)
			return errors.Join(err, notFound(killed))
		}
	}
}

// notFound forgives a kernel without cgroup.kill.
func notFound(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// removeTree removes dir and the groups below it, deepest first. Their files
// cannot be removed and need not be.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(dir)
}
