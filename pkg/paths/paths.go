// Package paths names every file vpod keeps on disk, in one place.
//
// It computes names and makes directories; it reads and writes no file's
// contents. Every room uses it.
package paths

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Dirs are the two directories all of vpod's files live under.
type Dirs struct {
	Data string // survives a reboot: database, containers, disks, caches
	Run  string // does not: sockets, status files; mode 0700
}

// Override replaces the default directories, as --root and --runroot ask.
// Empty fields keep the default.
type Override struct {
	Root    string // vpod's data goes to Root/vpod
	RunRoot string // vpod's run files go to RunRoot/vpod
}

// Default returns the directories of the calling user. uid is the user's id
// outside any user namespace; getenv looks up the environment.
//
// Root uses /var/lib/vpod and /run/vpod. Everybody else uses
// $XDG_DATA_HOME/vpod (~/.local/share/vpod) and $XDG_RUNTIME_DIR/vpod, or, where
// that variable is unset, /run/user/UID or a private directory under /tmp.
func Default(uid int, getenv func(string) string, o Override) (Dirs, error) {
	var d Dirs
	switch {
	case o.Root != "":
		root, err := filepath.Abs(o.Root)
		if err != nil {
			return Dirs{}, fmt.Errorf("root directory %q: %w", o.Root, err)
		}
		d.Data = filepath.Join(root, "vpod")
	case uid == 0:
		d.Data = "/var/lib/vpod"
	default:
		base := getenv("XDG_DATA_HOME")
		if base == "" {
			home := getenv("HOME")
			if home == "" {
				return Dirs{}, errors.New("neither XDG_DATA_HOME nor HOME is set: set one of them, or give --root")
			}
			base = filepath.Join(home, ".local", "share")
		}
		d.Data = filepath.Join(base, "vpod")
	}
	switch {
	case o.RunRoot != "":
		run, err := filepath.Abs(o.RunRoot)
		if err != nil {
			return Dirs{}, fmt.Errorf("run directory %q: %w", o.RunRoot, err)
		}
		d.Run = filepath.Join(run, "vpod")
	case uid == 0:
		d.Run = "/run/vpod"
	default:
		base := getenv("XDG_RUNTIME_DIR")
		if base == "" {
			base = filepath.Join("/run/user", strconv.Itoa(uid))
			if info, err := os.Stat(base); err != nil || !info.IsDir() || !ownedBy(info, os.Geteuid()) { // in a user namespace the user is somebody else
				base = filepath.Join(os.TempDir(), privatePrefix+strconv.Itoa(uid))
			}
		}
		d.Run = filepath.Join(base, "vpod")
	}
	return d, nil
}

// Make creates both directories. It refuses a run directory that another user
// could write to or owns: sockets that control machines live there.
func (d Dirs) Make() error {
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return fmt.Errorf("create vpod's data directory: %w", err)
	}
	if err := os.MkdirAll(d.Run, 0o700); err != nil {
		return fmt.Errorf("create vpod's run directory: %w", err)
	}
	if err := checkParent(filepath.Dir(d.Run)); err != nil {
		return err
	}
	info, err := os.Lstat(d.Run)
	if err != nil {
		return fmt.Errorf("check vpod's run directory: %w", err)
	}
	if !info.IsDir() || !ownedBy(info, os.Geteuid()) || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("run directory %s: %w: it must be a directory of yours with mode 0700; remove it or set XDG_RUNTIME_DIR", d.Run, fs.ErrPermission)
	}
	return nil
}

// checkParent refuses a directory in which somebody else could put another run
// directory in the place of ours: one that anybody may write to without being
// kept from others' files, and a private directory under /tmp that is not ours.
func checkParent(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("check vpod's run directory: %w", err)
	}
	open := info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0
	private := strings.HasPrefix(filepath.Base(dir), privatePrefix)
	if open || (private && !ownedBy(info, os.Geteuid())) {
		return fmt.Errorf("directory %s of the run directory: %w: other users could replace what is in it; remove it or set XDG_RUNTIME_DIR", dir, fs.ErrPermission)
	}
	return nil
}

// privatePrefix begins the name of the directory made under /tmp for a user who
// has no run directory.
const privatePrefix = "vpod-run-"

// ownedBy reports whether uid owns the file, both as seen from this process.
func ownedBy(info fs.FileInfo, uid int) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == uid
}

// Database is the sqlite state.
func (d Dirs) Database() string { return filepath.Join(d.Data, "vpod.db") }

// Images holds one EROFS file per image id.
func (d Dirs) Images() string { return filepath.Join(d.Data, "images") }

// Cache holds what can be made again: formatted scratch disks, unpacked kernels,
// layers on their way.
func (d Dirs) Cache() string { return filepath.Join(d.Data, "cache") }

// Layers holds an empty file per container whose layer in the image store is
// being made: by it a layer is found again whose maker was killed.
func (d Dirs) Layers() string { return filepath.Join(d.Data, "layers") }

// Containers holds a directory per container id.
func (d Dirs) Containers() string { return filepath.Join(d.Data, "containers") }

// Container names the files of the container with the given id.
func (d Dirs) Container(id string) Container {
	return Container{
		Data: filepath.Join(d.Data, "containers", id),
		Run:  filepath.Join(d.Run, "containers", id),
	}
}

// Container is the pair of directories of one container.
type Container struct {
	Data string // its disks, log and records
	Run  string // its sockets and status; absent after a reboot
}

// Make creates both directories.
func (c Container) Make() error {
	for _, dir := range []string{c.Data, c.Run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("create container directory: %w", err)
		}
	}
	return nil
}

// Scratch is the container's writable disk, a sparse raw ext4 image.
func (c Container) Scratch() string { return filepath.Join(c.Data, "scratch.img") }

// Log is the container's output when the user names no other place.
func (c Container) Log() string { return filepath.Join(c.Data, "ctr.log") }

// Launch is the monitor's orders: monitor.Launch as JSON.
func (c Container) Launch() string { return filepath.Join(c.Data, "launch.json") }

// Exit is how the machine last ended: monitor.Exit as JSON.
func (c Container) Exit() string { return filepath.Join(c.Data, "exit.json") }

// MonitorLog is the monitor's own log.
func (c Container) MonitorLog() string { return filepath.Join(c.Data, "monitor.log") }

// Console is the tail of the guest kernel's serial console.
func (c Container) Console() string { return filepath.Join(c.Data, "console.log") }

// LiveLock is held (filelock) by the monitor as long as it lives, and names it:
// monitor.Holder as JSON. It lies beside the data because the run directory of
// somebody who logs out goes, and is another where it is set otherwise: neither
// may make a living machine look dead.
func (c Container) LiveLock() string { return filepath.Join(c.Data, "live.lock") }

// OpLock is held (filelock) by a command while it starts or removes the container.
func (c Container) OpLock() string { return filepath.Join(c.Data, "op.lock") }

// Status is what runs now: monitor.Status as JSON; valid while LiveLock is held.
func (c Container) Status() string { return filepath.Join(c.Run, "status.json") }

// AttachSocket serves attach and monitor control.
func (c Container) AttachSocket() string { return filepath.Join(c.Run, "attach.sock") }

// AgentSocket serves agent streams, one per connection.
func (c Container) AgentSocket() string { return filepath.Join(c.Run, "agent.sock") }
