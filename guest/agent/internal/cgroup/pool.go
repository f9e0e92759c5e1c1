package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Pool makes control groups, one ahead of demand: making one is a tenth of the
// start of a container, and a machine saved as a template has its one already.
// Groups are called by numbers; a container's own name for its group is "/".
type Pool struct {
	root string

	mu    sync.Mutex
	last  int    // number of the group made last
	spare *Group // nil when there is none
}

// NewPool returns a Pool that makes groups below root.
func NewPool(root string) *Pool { return &Pool{root: root} }

// Take returns a fresh group, which is the caller's.
func (p *Pool) Take() (*Group, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.spare; g != nil {
		p.spare = nil
		return g, nil
	}
	return p.create()
}

// Fill makes a group for the next Take, if there is none. It may fail: then Take
// tries again, and says why not.
func (p *Pool) Fill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spare == nil {
		p.spare, _ = p.create()
	}
}

// create makes a group; p.mu is held.
func (p *Pool) create() (*Group, error) {
	p.last++
	dir := filepath.Join(p.root, "container"+strconv.Itoa(p.last))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		_ = os.Remove(dir)
		return nil, fmt.Errorf("open control group: %w", err)
	}
	return &Group{dir: dir, fd: fd}, nil
}
