package image

// #include "userns.h"
import "C"

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/containers/storage/pkg/reexec"
	"github.com/containers/storage/pkg/unshare"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// ErrNotInUserNamespace reports that the image store was used by an ordinary
// user outside a user namespace. Opening it there would mark the whole store,
// Podman's and Buildah's too, as one that needs fuse-overlayfs.
var ErrNotInUserNamespace = errors.New("the image store can only be opened by root or in a user namespace")

// Init must be the first statement of main: when it returns true, the process is
// a child the image store started to unpack a layer, has done its work, and main
// must return. It also lets only warnings of the libraries through.
func Init() bool {
	logrus.SetLevel(logrus.WarnLevel)
	return reexec.Init()
}

// InUserNamespace reports whether this process may open the image store: it is
// root with the rights of one, or was put into a user namespace.
func InUserNamespace() bool {
	if os.Geteuid() != 0 {
		return false
	}
	if C.vpod_userns.step == C.VPOD_USERNS_DONE || C.vpod_userns.step == C.VPOD_USERNS_SINGLE {
		return true
	}
	admin, err := unshare.HasCapSysAdmin()
	return err == nil && admin
}

// EnterOptions say which namespaces to enter.
type EnterOptions struct {
	// JoinPID is a process of this user that has namespaces to share, say a
	// running monitor; 0 makes new ones. Joining saves two setuid helpers and
	// lets processes see each other's mounts.
	JoinPID int
	// StillHolds reports, once JoinPID's namespaces are at hand, whether the
	// process is still the one that was meant; nil believes it. When it is not,
	// new namespaces are made.
	StillHolds func() bool
}

// EnterUserNamespace makes the process one that may open the image store. For
// root it does nothing. For anybody else it does not return unless it fails: the
// program is executed again from the start, by the same process, now root of a
// user namespace with the user's subordinate ids and of a mount namespace of its
// own; when that program comes here again, there is nothing left to do.
//
// That it is the same process is the point: unlike with a child in a namespace
// and a parent that waits, signals, the terminal, job control, the exit status
// and SIGKILL need no forwarding and no orphan can be left. The price is that
// open files, locks and everything in memory are gone: call it before anything is
// opened, and not from a process with children.
//
// Where only one id could be mapped, it warns, saying what to do, and goes on:
// images whose files all belong to root work.
func EnterUserNamespace(opts EnterOptions, log *slog.Logger) error {
	switch C.vpod_userns.step {
	case C.VPOD_USERNS_IDLE:
	case C.VPOD_USERNS_DONE:
		warnSingleMapping(log)
		return nil
	case C.VPOD_USERNS_SINGLE:
		log.Warn("newuidmap or newgidmap refused; only your own user id is usable. " + subidAdvice())
		return nil
	case C.VPOD_USERNS_JOIN_USER:
		opts.JoinPID = 0 // its holder is gone, most likely; nothing has changed yet
	default:
		return usernsError()
	}
	if InUserNamespace() {
		return nil
	}
	env, err := enterEnvironment(opts, log)
	if err != nil {
		return err
	}
	if err := syscall.Exec(reexec.Self(), os.Args, env); err != nil {
		return fmt.Errorf("execute vpod again in a user namespace: %w", err)
	}
	return nil // not reached
}

// Variables that carry the order to the constructor in userns.c, and those by
// which containers/storage knows that it runs for an ordinary user.
const (
	envOrder     = "_VPOD_USERNS"
	envUIDMap    = "_VPOD_USERNS_UIDMAP"
	envGIDMap    = "_VPOD_USERNS_GIDMAP"
	envNewUIDMap = "_VPOD_USERNS_NEWUIDMAP"
	envNewGIDMap = "_VPOD_USERNS_NEWGIDMAP"

	envStorageUID = "_CONTAINERS_ROOTLESS_UID"
	envStorageGID = "_CONTAINERS_ROOTLESS_GID"
)

// enterEnvironment is the environment to execute the program again with.
func enterEnvironment(opts EnterOptions, log *slog.Logger) ([]string, error) {
	env := append(os.Environ(),
		unshare.UsernsEnvName+"=done",
		envStorageUID+"="+strconv.Itoa(os.Geteuid()),
		envStorageGID+"="+strconv.Itoa(os.Getegid()))
	if opts.JoinPID != 0 {
		order, err := joinOrder(opts)
		if err == nil {
			return append(env, envOrder+"="+order), nil
		}
		log.Debug("cannot join the namespaces of a running process; making new ones", "pid", opts.JoinPID, "error", err)
	}
	uidmap, gidmap, err := idMaps()
	if err != nil {
		return nil, err
	}
	env = append(env, envOrder+"=new", envUIDMap+"="+mapText(uidmap), envGIDMap+"="+mapText(gidmap))
	if os.Geteuid() == 0 {
		return env, nil // root without rights writes the maps itself
	}
	for name, tool := range map[string]string{envNewUIDMap: "newuidmap", envNewGIDMap: "newgidmap"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			// The constructor takes the name for a path; it fails and falls back.
			log.Warn(tool + " is not installed (Debian package uidmap)")
			path = filepath.Join("/nonexistent", tool)
		}
		env = append(env, name+"="+path)
	}
	return env, nil
}

// joinOrder opens the namespaces to join, to be inherited over the execution.
func joinOrder(opts EnterOptions) (string, error) {
	var fds [2]int
	for i, kind := range []string{"user", "mnt"} {
		// Not O_CLOEXEC: the next program needs it.
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", opts.JoinPID, kind), unix.O_RDONLY, 0)
		if err != nil {
			if i == 1 {
				unix.Close(fds[0])
			}
			return "", err
		}
		fds[i] = fd
	}
	if opts.StillHolds != nil && !opts.StillHolds() {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return "", errors.New("it has ended")
	}
	return fmt.Sprintf("join %d %d", fds[0], fds[1]), nil
}

// idMaps returns the ids of a new namespace: 0 is the user, the subordinate ids
// follow. For root without rights it is the ids there are.
func idMaps() (uids, gids []specs.LinuxIDMapping, err error) {
	if os.Geteuid() == 0 {
		uids, gids, err = unshare.GetHostIDMappings("")
		if err != nil {
			return nil, nil, fmt.Errorf("read this process's id maps: %w", err)
		}
		for i := range uids {
			uids[i].HostID = uids[i].ContainerID
		}
		for i := range gids {
			gids[i].HostID = gids[i].ContainerID
		}
		return uids, gids, nil
	}
	var subuids, subgids []specs.LinuxIDMapping
	if me, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		// An error here is that there are no ranges; one id is warned about later.
		subuids, subgids, _ = unshare.GetSubIDMappings(me.Username, me.Username)
	}
	return consecutive(os.Geteuid(), subuids), consecutive(os.Getegid(), subgids), nil
}

// consecutive maps id to 0 and the ranges to what follows.
func consecutive(id int, ranges []specs.LinuxIDMapping) []specs.LinuxIDMapping {
	all := append([]specs.LinuxIDMapping{{HostID: uint32(id), Size: 1}}, ranges...)
	var next uint32
	for i := range all {
		all[i].ContainerID = next
		next += all[i].Size
	}
	return all
}

// mapText prints a map as /proc/PID/uid_map takes it.
func mapText(m []specs.LinuxIDMapping) string {
	var b strings.Builder
	for _, r := range m {
		fmt.Fprintf(&b, "%d %d %d\n", r.ContainerID, r.HostID, r.Size)
	}
	return b.String()
}

// warnSingleMapping says so when the namespace has one id only.
func warnSingleMapping(log *slog.Logger) {
	if n, err := mappedIDs(); err == nil && n <= 1 {
		log.Warn("only your own user id is usable: images with files of other users cannot be unpacked. " + subidAdvice())
	}
}

// mappedIDs counts the user ids of this process's namespace.
func mappedIDs() (uint64, error) {
	uids, _, err := unshare.GetHostIDMappings("")
	var n uint64
	for _, m := range uids {
		n += uint64(m.Size)
	}
	return n, err
}

// subidAdvice says how a user gets subordinate ids.
func subidAdvice() string {
	name := "$USER"
	if me, err := user.LookupId(strconv.Itoa(unshare.GetRootlessUID())); err == nil {
		name = me.Username
	}
	return fmt.Sprintf("Give %s ranges in /etc/subuid and /etc/subgid, as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s; "+
		"and see that newuidmap and newgidmap are installed (Debian package uidmap) and setuid", name, name)
}

// usernsError says why no namespace was entered.
func usernsError() error {
	errno := syscall.Errno(C.vpod_userns.error)
	switch C.vpod_userns.step {
	case C.VPOD_USERNS_UNSHARE, C.VPOD_USERNS_MAP:
		advice := "see whether the kernel lets ordinary users make them: sysctl kernel.unprivileged_userns_clone kernel.apparmor_restrict_unprivileged_userns"
		if errno == syscall.ENOSPC || errno == syscall.EUSERS {
			advice = "their number is limited: sysctl user.max_user_namespaces"
		}
		return fmt.Errorf("make a user namespace: %w; %s", errno, advice)
	case C.VPOD_USERNS_JOIN_MOUNT:
		return fmt.Errorf("join the mount namespace of a running vpod: %w", errno)
	case C.VPOD_USERNS_SETID:
		return fmt.Errorf("become root of the user namespace: %w", errno)
	case C.VPOD_USERNS_FORK:
		return fmt.Errorf("start the process that maps ids: %w", errno)
	}
	return fmt.Errorf("enter a user namespace: %w; unset %s", errno, envOrder)
}
