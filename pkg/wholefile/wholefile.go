// Package wholefile writes files that appear under their names when all of them is
// there, and not at all when their writer fails or is killed: until then a file has no
// name (O_TMPFILE of open(2)). Where the file system has no such files, it has a passing
// name beside its own, which only a killed writer leaves behind.
//
// It is for the files users name: archives of images and containers.
package wholefile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// File is a file on its way. Whoever has it publishes and then closes it; one that is
// closed without is gone.
type File struct {
	*os.File
	path    string // its name, once it is whole
	passing string // the name it has until then; "" for none
	direct  bool   // it is no regular file, and has its name already
	old     fs.FileInfo
}

// Create begins the file path, for reading and writing. A new one has mode perm less
// the umask; one that is there is replaced when the new one is published, keeps its mode,
// and its owner as far as that may be set; a symbolic link stays one. One that cannot be
// written to is refused, and a device or a pipe is written to as it is.
func Create(path string, perm fs.FileMode) (*File, error) {
	f := &File{path: path}
	there, err := os.OpenFile(path, os.O_WRONLY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.path, err = target(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		if f.old, err = there.Stat(); err != nil {
			there.Close()
			return nil, err
		}
		if !f.old.Mode().IsRegular() {
			f.File, f.direct = there, true
			return f, nil
		}
		there.Close()
		if f.path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	}
	if err := f.openNameless(perm); !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) { // of the file system, of the kernel
		return f, err
	}
	return f, f.openPassing(perm)
}

// target follows the links that lead to a file which is not there.
func target(path string) (string, error) {
	const maxLinks = 40 // Linux's own, path_resolution(7)
	for range maxLinks {
		link, err := os.Readlink(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.EINVAL): // EINVAL: no link, it was made meanwhile
			return path, nil
		case err != nil:
			return "", err
		case filepath.IsAbs(link):
			path = link
		default:
			path = filepath.Join(filepath.Dir(path), link)
		}
	}
	return "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
}

func (f *File) openNameless(perm fs.FileMode) error {
	fd, err := unix.Open(filepath.Dir(f.path), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return &fs.PathError{Op: "open", Path: f.path, Err: err}
	}
	f.File = os.NewFile(uintptr(fd), f.path)
	return nil
}

func (f *File) openPassing(perm fs.FileMode) (err error) {
	f.passing = f.beside()
	f.File, err = os.OpenFile(f.passing, os.O_RDWR|os.O_CREATE|os.O_EXCL, perm.Perm())
	return err
}

// beside returns a name nobody has, in the file's directory.
func (f *File) beside() string {
	return filepath.Join(filepath.Dir(f.path), ".vpod-"+rand.Text()+".tmp") // however long the file's own name is
}

// Regular reports whether it is a regular file, and no device or pipe.
func (f *File) Regular() bool { return !f.direct }

// Path is a name by which this process can open the file until it is closed.
func (f *File) Path() string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

// Publish gives the file its name. Nothing may be written after it. It syncs nothing:
// whoever needs that calls Sync before.
func (f *File) Publish() error {
	if f.direct {
		return nil
	}
	if f.old != nil {
		if err := f.takeAfter(); err != nil {
			return err
		}
	}
	if f.passing == "" {
		err := f.link(f.path)
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		f.passing = f.beside()
		if err := f.link(f.passing); err != nil {
			return err
		}
	}
	if err := os.Rename(f.passing, f.path); err != nil {
		return err
	}
	f.passing = ""
	return nil
}

// takeAfter gives the file owner and mode of the one it replaces.
func (f *File) takeAfter() error {
	if owner, ok := f.old.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(owner.Uid), int(owner.Gid)) // root's to do; others' files are theirs afterwards, as after any renaming
	}
	return f.Chmod(f.old.Mode().Perm())
}

func (f *File) link(name string) error {
	if err := unix.Linkat(unix.AT_FDCWD, f.Path(), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW); err != nil {
		return &os.LinkError{Op: "link", Old: "file without a name", New: name, Err: err}
	}
	return nil
}

// Close ends the writing; what was not published is gone.
func (f *File) Close() error {
	err := f.File.Close()
	if f.passing != "" {
		err = errors.Join(err, os.Remove(f.passing))
		f.passing = ""
	}
	return err
}

// Write makes the file path of what write writes, as Create does.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) (err error) {
	f, err := Create(path, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := write(f); err != nil {
		return err
	}
	return f.Publish()
}
