package rootfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// MountFunc makes an image's files readable under path until release is called.
// Release is called exactly once, also when the caller's context has ended.
type MountFunc func(ctx context.Context) (path string, release func() error, err error)

// Phase says what Ensure is doing.
type Phase int

// The phases. Ensure that finds its file reports none; otherwise it may report
// Waiting once, then Converting several times, then Done.
const (
	Waiting    Phase = iota // another process converts the same image
	Converting              // mkfs.erofs runs
	Done
)

// Progress is how far Ensure has come.
type Progress struct {
	Phase      Phase
	DoneBytes  int64 // written so far
	TotalBytes int64 // estimated; DoneBytes never passes it
}

// Ensure returns the path of the image's EROFS file, making it first when it is
// not there. Two processes that ask for the same image at once make it once: the
// second waits for the first. report may be nil; it is called from the calling
// goroutine.
//
// When ctx ends, mkfs.erofs is killed and nothing is left. Errors are a
// *MissingToolError, a *NoSpaceError, the context's, or name the step.
func (c *Cache) Ensure(ctx context.Context, imageID string, mount MountFunc, report func(Progress)) (path string, err error) {
	if err := checkImageID(imageID); err != nil {
		return "", err
	}
	if path, ok := c.Lookup(imageID); ok {
		return path, nil
	}
	if report == nil {
		report = func(Progress) {}
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", fmt.Errorf("create directory for root disks: %w", err)
	}
	unlock, err := c.lock(ctx, imageID, func() { report(Progress{Phase: Waiting}) })
	if err != nil {
		return "", fmt.Errorf("convert image %s: %w", short(imageID), err)
	}
	defer unlock()
	if path, ok := c.Lookup(imageID); ok {
		return path, nil
	}
	c.sweep(imageID)
	mkfs, err := findTool(c.mkfs)
	if err != nil {
		return "", &MissingToolError{Tool: "mkfs.erofs", Package: "erofs-utils", Hint: "run with --rootfs-mode virtiofs"}
	}

	dir, release, err := mount(ctx)
	if err != nil {
		return "", fmt.Errorf("mount image %s for conversion: %w", short(imageID), err)
	}
	defer func() {
		if rerr := release(); rerr != nil {
			// The disk is whole all the same; the mount is somebody's later
			// trouble, and the store knows how to get rid of it.
			c.log.Warn("cannot unmount a converted image", "image", imageID, "error", rerr)
		}
	}()
	if err := c.convert(ctx, mkfs, imageID, dir, report); err != nil {
		var full *NoSpaceError
		if errors.As(err, &full) {
			return "", err
		}
		return "", fmt.Errorf("convert image %s: %w", short(imageID), err)
	}
	return c.path(imageID), nil
}

// convert makes the file from the tree at dir. The caller holds the lock.
func (c *Cache) convert(ctx context.Context, mkfs, imageID, dir string, report func(Progress)) (err error) {
	start := time.Now()
	size, err := measureTree(ctx, dir)
	if err != nil {
		return fmt.Errorf("look through the image: %w", err)
	}
	what := "converting image " + short(imageID)
	if free, ok := freeBytes(c.dir); ok && free < size.bytes {
		return noSpace(what, c.dir, size.bytes)
	}
	out, err := os.CreateTemp(c.dir, imageID+".*"+tempSuffix)
	if err != nil {
		return fmt.Errorf("create root disk: %w", err)
	}
	defer func() {
		out.Close()
		if err != nil {
			os.Remove(out.Name())
		}
	}()

	// mkfs.erofs's defaults keep modes, 32-bit owners, times to the nanosecond,
	// extended attributes, hard links and devices. No compression: LZ4 makes the
	// file 40 % smaller, takes 2.4 times as long, and an emulated guest pays for
	// every block it reads. The UUID is the image's, so that the same image
	// gives the same one.
	cmd := exec.CommandContext(ctx, mkfs, "--quiet", "-d1", "-U"+uuidOf(imageID), out.Name(), dir)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	written := growth{f: out}
	report(Progress{Phase: Converting, TotalBytes: size.bytes})
	output, err := runTool(cmd, func() {
		report(Progress{Phase: Converting, DoneBytes: min(written.look(), size.bytes), TotalBytes: size.bytes})
	})
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case diskFull(err, output):
		return noSpace(what, c.dir, size.bytes)
	case size.longName != "":
		return fmt.Errorf("mkfs.erofs: %w; it may be the name of %d bytes at %q, which versions before 1.6 cannot keep: install a newer erofs-utils, or run with --rootfs-mode virtiofs",
			toolError(ctx, err, output), erofsLongName, size.longName)
	default:
		return fmt.Errorf("mkfs.erofs: %w", toolError(ctx, err, output))
	}

	if err := checkErofs(out.Name()); err != nil {
		return fmt.Errorf("check what mkfs.erofs made: %w", err)
	}
	if err := syncAs(out, c.path(imageID)); err != nil {
		if diskFull(err, "") {
			return noSpace(what, c.dir, size.bytes)
		}
		return err
	}
	c.log.Debug("converted image", "image", imageID, "files", size.files, "bytes", written.look(), "took", time.Since(start))
	report(Progress{Phase: Done, DoneBytes: size.bytes, TotalBytes: size.bytes})
	return nil
}

// syncAs writes f to the disk and gives it its final name.
func syncAs(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return nil
}

// uuidOf is a version-8 UUID made from an image id.
func uuidOf(imageID string) string {
	return imageID[0:8] + "-" + imageID[8:12] + "-8" + imageID[13:16] + "-a" + imageID[17:20] + "-" + imageID[20:32]
}

// growth looks at a file while a tool writes it.
type growth struct {
	f       *os.File
	flushed int64
}

// look returns the file's length, and has the kernel begin writing out what is
// new, so that the sync at the end has little left to do.
func (g *growth) look() int64 {
	info, err := g.f.Stat()
	if err != nil {
		return g.flushed
	}
	if n := info.Size(); n > g.flushed {
		// Only a hint: a file system that cannot do it is synced later.
		_ = unix.SyncFileRange(int(g.f.Fd()), g.flushed, n-g.flushed, unix.SYNC_FILE_RANGE_WRITE)
		g.flushed = n
	}
	return g.flushed
}
