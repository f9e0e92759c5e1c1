package spawn

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mount is a mount the child makes before anything else. /proc shows the pid
// namespace of the task that mounts it, and only the child is in the new one; so
// /proc and whatever lies on it are the child's to mount.
type Mount struct {
	Target string

	// Either a mount(2), ...
	Source, Type, Data string
	Flags              uintptr
	// ... or, when not 0, a mount_setattr(2) of the tree at Target, ...
	SetAttr, ClearAttr uint64
	// ... or, when not 0, a move_mount(2) of the detached tree with this
	// descriptor.
	Tree int
}

func (p *program) addMounts(list []Mount) error {
	for _, m := range list {
		target, err := p.cstring(m.Target)
		if err != nil {
			return err
		}
		c := call{step: StepMount, note: m.Target}
		switch {
		case m.SetAttr|m.ClearAttr != 0:
			attr := &unix.MountAttr{Attr_set: m.SetAttr, Attr_clr: m.ClearAttr}
			c.nr, c.args = unix.SYS_MOUNT_SETATTR, [6]uintptr{at(unix.AT_FDCWD), target, unix.AT_RECURSIVE, pointer(p, attr), unsafe.Sizeof(*attr)}
		case m.Tree != 0:
			empty, err := p.cstring("")
			if err != nil {
				return err
			}
			c.nr, c.args = unix.SYS_MOVE_MOUNT, [6]uintptr{uintptr(m.Tree), empty, at(unix.AT_FDCWD), target,
				unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_SYMLINKS}
		default:
			var texts [3]uintptr
			for i, s := range []string{m.Source, m.Type, m.Data} {
				if texts[i], err = p.cstring(s); err != nil {
					return err
				}
			}
			c.nr, c.args = unix.SYS_MOUNT, [6]uintptr{texts[0], target, texts[1], m.Flags, texts[2]}
		}
		p.calls = append(p.calls, c)
	}
	return nil
}

// at is a directory descriptor as an argument, AT_FDCWD being negative.
func at(fd int) uintptr { return uintptr(fd) }
