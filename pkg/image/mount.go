package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containers/common/libimage"
	"github.com/containers/storage"

	"vpod/pkg/filelock"
)

// Mount makes an image's files readable under path, until unmount is called,
// which the caller owes. In a user namespace the mount is seen by this process
// and its children alone, and ends with the last of them.
//
// The store counts mounts, and a process that is killed leaves its count behind;
// the next Mount of the image finds and undoes that.
func (s *Store) Mount(ctx context.Context, imageID string) (path string, unmount func() error, err error) {
	err = s.use(ctx, func(*libimage.Runtime) error {
		path, unmount, err = s.mount(ctx, imageID)
		return err
	})
	if err != nil {
		return "", nil, explain(fmt.Errorf("mount image %s: %w", imageID, err))
	}
	return path, unmount, nil
}

func (s *Store) mount(ctx context.Context, imageID string) (path string, unmount func() error, err error) {
	image, err := s.store.Image(imageID)
	if err != nil {
		return "", nil, err
	}
	imageID = image.ID
	mark, err := s.markMount(ctx, imageID)
	if err != nil {
		return "", nil, err
	}
	path, err = s.store.MountImage(imageID, nil, "")
	if err != nil {
		mark.drop()
		return "", nil, err
	}
	mark.mounted()
	var once sync.Once
	unmount = func() (err error) {
		once.Do(func() {
			defer mark.drop()
			if _, uerr := s.store.UnmountImage(imageID, false); uerr != nil && !errors.Is(uerr, storage.ErrLayerNotMounted) {
				err = fmt.Errorf("unmount image %s: %w", imageID, uerr)
			}
		})
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", nil, errors.Join(err, unmount())
	}
	return path, unmount, nil
}

// mountMark is a file, locked while its process lives, that says that this
// process has an image mounted. It lies beside the store's own counts, in the
// run root, and like them does not outlive a reboot.
type mountMark struct{ f *os.File }

// isMounted is what a mark holds from after the mount until before the unmount.
// A process killed in between leaves one count too many; one killed just before
// or after is believed to have left none, because undoing a count that is another
// process's would take its mount away.
const isMounted = "mounted\n"

func (m mountMark) mounted() { _, _ = m.f.WriteString(isMounted) }

func (m mountMark) drop() {
	os.Remove(m.f.Name())
	m.f.Close()
}

// markMount undoes what killed processes left of an image's mounts, and makes a
// mark for a new one.
func (s *Store) markMount(ctx context.Context, imageID string) (mountMark, error) {
	dir := filepath.Join(s.store.RunRoot(), "vpod-mounts")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return mountMark{}, err
	}
	lock, err := filelock.Lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return mountMark{}, err
	}
	defer lock.Close()
	left, err := filepath.Glob(filepath.Join(dir, imageID+".*"))
	if err != nil {
		return mountMark{}, err
	}
	for _, path := range left {
		if err := s.undoMount(path, imageID); err != nil {
			s.log.Warn("cannot undo the mount of a killed process", "image", imageID, "error", err)
		}
	}
	tmp, err := os.CreateTemp(dir, imageID+".*")
	if err != nil {
		return mountMark{}, err
	}
	tmp.Close()
	f, err := filelock.TryLock(tmp.Name())
	if err != nil {
		return mountMark{}, err
	}
	return mountMark{f: f}, nil
}

// undoMount undoes the mount of which the mark at path was left, if its process
// is gone.
func (s *Store) undoMount(path, imageID string) error {
	f, err := filelock.TryLock(path)
	if errors.Is(err, filelock.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(len(isMounted))))
	if err != nil {
		return err
	}
	if string(text) == isMounted {
		s.log.Debug("undoing the mount of a killed process", "image", imageID)
		if _, err := s.store.UnmountImage(imageID, false); err != nil && !errors.Is(err, storage.ErrLayerNotMounted) {
			return err
		}
	}
	return os.Remove(path)
}

// shortID is an id as people read it.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
