package tree

import (
	"io"

	"golang.org/x/sys/unix"

	"vpod/pkg/agentproto"
)

// changes lists what a container has changed, as containers/storage does (its
// pkg/archive, changes.go), so that `diff` says what Podman's says.
type changes struct{ w io.Writer }

// add lists a file of the upper directory. What has been added or deleted has changed
// the directories it is in.
func (c *changes) add(n *node) error {
	if n.up == nil {
		n.recorded = true // nobody lists the root
		return nil
	}
	kind, err := changeOf(n)
	if err != nil || kind == 0 {
		return err
	}
	n.recorded = true
	if kind != agentproto.ChangeModified {
		if err := c.parents(n.up); err != nil {
			return err
		}
	}
	return c.record(kind, n.path)
}

// changeOf says what has become of a file; 0 is nothing.
func changeOf(n *node) (byte, error) {
	if deleted, err := isWhiteout(n); err != nil || deleted {
		return agentproto.ChangeDeleted, err
	}
	if replaced, err := isOpaque(n); err != nil || replaced {
		return agentproto.ChangeDeleted, err
	}
	was, there, err := n.lower()
	switch {
	case err != nil:
		return 0, err
	case !there:
		return agentproto.ChangeAdded, nil
	case n.isDir() && n.st.Mode == was.Mode && n.st.Uid == was.Uid && n.st.Gid == was.Gid && sameTime(n.st.Mtim, was.Mtim):
		return 0, nil // it is there for what is in it
	}
	return agentproto.ChangeModified, nil
}

// sameTime compares times of which one may have been kept in whole seconds.
func sameTime(a, b unix.Timespec) bool {
	return a.Sec == b.Sec && (a.Nsec == b.Nsec || a.Nsec == 0 || b.Nsec == 0)
}

// parents lists the directories that are not listed yet, the outermost first.
func (c *changes) parents(dir *node) error {
	if dir.recorded {
		return nil
	}
	if err := c.parents(dir.up); err != nil {
		return err
	}
	dir.recorded = true
	return c.record(agentproto.ChangeModified, dir.path)
}

func (c *changes) record(kind byte, path string) error {
	b := make([]byte, 0, len(path)+3)
	b = append(b, kind, '/')
	b = append(b, path...)
	_, err := c.w.Write(append(b, 0))
	return err
}
