// Package mounts furnishes a container's root: the mounts of its OCI
// configuration, /dev, masked and read-only paths, kernel parameters.
//
// Everything runs on a thread in the container's mount namespace. Sources are
// taken hold of before the root is changed (Prepare), the rest happens inside the
// new root (Furnish), where no path can lead out.
package mounts

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// options are mount options, parsed.
type options struct {
	flags       uintptr   // MS_* for mount(2)
	propagation []uintptr // MS_SHARED and so on, each a mount(2) of its own
	data        []string  // for the file system
	bind        bool
	recursive   bool // of a bind
	copyUp      bool // fill a tmpfs with what it hides

	// Attributes of a mount and all below it: "rro" and its like.
	attrSet, attrClear uint64
}

// flag is an option that sets or clears bits. The tables are lists, not maps:
// they cost nothing when the program starts.
type flag[B uintptr | uint64] struct {
	name  string
	clear bool
	bits  B
}

// find returns the entry with the given name.
func find[B uintptr | uint64](list []flag[B], name string) (flag[B], bool) {
	for _, f := range list {
		if f.name == name {
			return f, true
		}
	}
	return flag[B]{}, false
}

// The options of mount(8) that are flags.
var flags = []flag[uintptr]{
	{"async", true, unix.MS_SYNCHRONOUS},
	{"atime", true, unix.MS_NOATIME},
	{"defaults", false, 0},
	{"dev", true, unix.MS_NODEV},
	{"diratime", true, unix.MS_NODIRATIME},
	{"dirsync", false, unix.MS_DIRSYNC},
	{"exec", true, unix.MS_NOEXEC},
	{"iversion", false, unix.MS_I_VERSION},
	{"lazytime", false, unix.MS_LAZYTIME},
	{"loud", true, unix.MS_SILENT},
	{"mand", false, unix.MS_MANDLOCK},
	{"noatime", false, unix.MS_NOATIME},
	{"nodev", false, unix.MS_NODEV},
	{"nodiratime", false, unix.MS_NODIRATIME},
	{"noexec", false, unix.MS_NOEXEC},
	{"noiversion", true, unix.MS_I_VERSION},
	{"nolazytime", true, unix.MS_LAZYTIME},
	{"nomand", true, unix.MS_MANDLOCK},
	{"norelatime", true, unix.MS_RELATIME},
	{"nostrictatime", true, unix.MS_STRICTATIME},
	{"nosuid", false, unix.MS_NOSUID},
	{"nosymfollow", false, unix.MS_NOSYMFOLLOW},
	{"relatime", false, unix.MS_RELATIME},
	{"remount", false, unix.MS_REMOUNT},
	{"ro", false, unix.MS_RDONLY},
	{"rw", true, unix.MS_RDONLY},
	{"silent", false, unix.MS_SILENT},
	{"strictatime", false, unix.MS_STRICTATIME},
	{"suid", true, unix.MS_NOSUID},
	{"symfollow", true, unix.MS_NOSYMFOLLOW},
	{"sync", false, unix.MS_SYNCHRONOUS},
}

// The options that say how mounts propagate.
var propagations = []flag[uintptr]{
	{"private", false, unix.MS_PRIVATE},
	{"rprivate", false, unix.MS_PRIVATE | unix.MS_REC},
	{"shared", false, unix.MS_SHARED},
	{"rshared", false, unix.MS_SHARED | unix.MS_REC},
	{"slave", false, unix.MS_SLAVE},
	{"rslave", false, unix.MS_SLAVE | unix.MS_REC},
	{"unbindable", false, unix.MS_UNBINDABLE},
	{"runbindable", false, unix.MS_UNBINDABLE | unix.MS_REC},
}

// The recursive options of runtime-spec, config.md, "Linux mount options".
var attrs = []flag[uint64]{
	{"rro", false, unix.MOUNT_ATTR_RDONLY},
	{"rrw", true, unix.MOUNT_ATTR_RDONLY},
	{"rnosuid", false, unix.MOUNT_ATTR_NOSUID},
	{"rsuid", true, unix.MOUNT_ATTR_NOSUID},
	{"rnodev", false, unix.MOUNT_ATTR_NODEV},
	{"rdev", true, unix.MOUNT_ATTR_NODEV},
	{"rnoexec", false, unix.MOUNT_ATTR_NOEXEC},
	{"rexec", true, unix.MOUNT_ATTR_NOEXEC},
	{"rnodiratime", false, unix.MOUNT_ATTR_NODIRATIME},
	{"rdiratime", true, unix.MOUNT_ATTR_NODIRATIME},
	{"rrelatime", false, unix.MOUNT_ATTR_RELATIME},
	{"rnorelatime", true, unix.MOUNT_ATTR_RELATIME},
	{"rnoatime", false, unix.MOUNT_ATTR_NOATIME},
	{"ratime", true, unix.MOUNT_ATTR_NOATIME},
	{"rstrictatime", false, unix.MOUNT_ATTR_STRICTATIME},
	{"rnostrictatime", true, unix.MOUNT_ATTR_STRICTATIME},
	{"rnosymfollow", false, unix.MOUNT_ATTR_NOSYMFOLLOW},
	{"rsymfollow", true, unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// parseOptions sorts the options of one mount. What it does not know is the file
// system's.
func parseOptions(list []string) (options, error) {
	var o options
	for _, s := range list {
		f, isFlag := find(flags, s)
		p, isPropagation := find(propagations, s)
		a, isAttr := find(attrs, s)
		switch {
		case isFlag && f.clear:
			o.flags &^= f.bits
		case isFlag:
			o.flags |= f.bits
		case isPropagation:
			o.propagation = append(o.propagation, p.bits)
		case isAttr:
			o.addAttr(a)
		case s == "bind" || s == "rbind":
			o.bind = true
			o.recursive = o.recursive || s == "rbind"
		case s == "tmpcopyup":
			o.copyUp = true
		case s == "notmpcopyup":
			o.copyUp = false
		case s == "idmap" || s == "ridmap":
			return o, fmt.Errorf("option %q: id-mapped mounts need a user namespace, which a machine of its own makes needless", s)
		case strings.ContainsAny(s, "\x00") || s == "":
			return o, fmt.Errorf("option %q is none", s)
		default:
			o.data = append(o.data, s)
		}
	}
	return o, nil
}

// mode is the permission bits that a mode= option asks a tmpfs's root to have.
func (o *options) mode() (bits uint32, asked bool) {
	for _, s := range o.data {
		if text, ok := strings.CutPrefix(s, "mode="); ok {
			n, err := strconv.ParseUint(text, 8, 32)
			bits, asked = uint32(n), err == nil
		}
	}
	return bits, asked
}

// addAttr notes a recursive attribute. The access times are a choice, not bits:
// the kernel wants all of them cleared before one is set.
func (o *options) addAttr(a flag[uint64]) {
	const atime = unix.MOUNT_ATTR_NOATIME | unix.MOUNT_ATTR_STRICTATIME
	isTime := a.bits&^atime == 0 // MOUNT_ATTR_RELATIME is 0
	if isTime {
		o.attrSet &^= atime
		o.attrClear |= unix.MOUNT_ATTR__ATIME
	}
	switch {
	case !a.clear:
		o.attrSet |= a.bits
		if !isTime {
			o.attrClear &^= a.bits
		}
	case !isTime:
		o.attrSet &^= a.bits
		o.attrClear |= a.bits
	}
}

// bindAttrs turns the flags into attributes of a mount, which is how a bind gets
// them: set are those asked for, clear those they replace.
func (o *options) bindAttrs() (set, clear uint64) {
	for _, m := range []struct {
		flag uintptr
		attr uint64
	}{
		{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY},
		{unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID},
		{unix.MS_NODEV, unix.MOUNT_ATTR_NODEV},
		{unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
		{unix.MS_NODIRATIME, unix.MOUNT_ATTR_NODIRATIME},
		{unix.MS_NOSYMFOLLOW, unix.MOUNT_ATTR_NOSYMFOLLOW},
	} {
		if o.flags&m.flag != 0 {
			set |= m.attr
		}
	}
	switch {
	case o.flags&unix.MS_NOATIME != 0:
		set |= unix.MOUNT_ATTR_NOATIME
		clear |= unix.MOUNT_ATTR__ATIME
	case o.flags&unix.MS_STRICTATIME != 0:
		set |= unix.MOUNT_ATTR_STRICTATIME
		clear |= unix.MOUNT_ATTR__ATIME
	case o.flags&unix.MS_RELATIME != 0:
		clear |= unix.MOUNT_ATTR__ATIME
	}
	return set, clear
}

// hasData reports whether an option of the file system is given.
func (o *options) hasData(key string) bool {
	for _, d := range o.data {
		if k, _, _ := strings.Cut(d, "="); k == key {
			return true
		}
	}
	return false
}
