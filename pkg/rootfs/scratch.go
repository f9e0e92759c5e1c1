package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sizes of scratch disks, in bytes.
const (
	DefaultScratchBytes = 10 << 30
	MinScratchBytes     = 16 << 20 // file system, journal and room for a few files
	MaxScratchBytes     = 16 << 40 // longest file of ext4, on which the disk itself often lies

	scratchUnit       = 1 << 20   // sizes are rounded up to this
	smallScratchBytes = 256 << 20 // below, the journal is small too
)

// The directories a fresh scratch disk holds beside lost+found: the writable
// layer of the guest's overlayfs and its work directory. Both belong to root
// and have mode 0755.
const (
	ScratchUpper = "upper"
	ScratchWork  = "work"
)

// scratchFeatures are the ext4 features of a scratch disk, all of them, whatever
// the host's mke2fs.conf says. Without resize_inode and with sparse_super2 and no
// backup superblocks a 10 GiB disk takes 0.15 MB instead of 4.3 MB, all but no
// time to copy, and is never repaired from a backup by anyone.
const scratchFeatures = "none,ext_attr,dir_index,filetype,extent,64bit,flex_bg," +
	"sparse_super2,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"

// scratchVersion is part of the name of formatted disks kept for copying; it
// grows when they are to be made in another way.
const scratchVersion = 1

// ScratchOptions say what scratch disk to make.
type ScratchOptions struct {
	Path      string // of the disk; its directory must exist
	SizeBytes int64  // 0 is DefaultScratchBytes; rounded up to a whole MiB
	CacheDir  string // where formatted disks are kept for copying; created when missing

	// Ephemeral is for containers that are removed when they end: no journal and
	// nothing synced, faster, and lost if the machine or the host crashes.
	Ephemeral bool
}

// NewScratch makes a scratch disk: a sparse raw image with an ext4 file system
// of exactly its size, so that the guest need not grow it. The first disk of a
// size is formatted (about 40 ms); later ones are copies of it (about 1 ms). The
// copies share their UUID, which no guest sees two of.
//
// It is at its path whole or not at all; a file that was there is replaced. Errors are a *ScratchSizeError, a
// *MissingToolError, a *NoSpaceError, or name the step.
func NewScratch(ctx context.Context, opts ScratchOptions) error {
	size, err := scratchSize(opts.SizeBytes)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(opts.CacheDir, 0o700); err != nil {
		return fmt.Errorf("create directory for formatted disks: %w", err)
	}
	base := basePath(opts.CacheDir, size, opts.Ephemeral)
	src, err := os.Open(base)
	if errors.Is(err, fs.ErrNotExist) {
		if err := formatBase(ctx, base, size, opts.Ephemeral); err != nil {
			return err
		}
		src, err = os.Open(base)
	}
	if err != nil {
		return fmt.Errorf("open formatted disk: %w", err)
	}
	defer src.Close()

	err = publish(opts.Path, !opts.Ephemeral, func(dst *os.File) error {
		if err := copySparse(dst, src); err != nil {
			return err
		}
		// A clone or copy of a damaged base must not pass for a disk.
		if info, err := dst.Stat(); err != nil || info.Size() != size {
			os.Remove(base)
			return fmt.Errorf("the formatted disk %s is damaged; it was removed, try again", base)
		}
		return nil
	})
	return scratchError("making a scratch disk of "+sizeText(size), opts.Path, err)
}

// ScratchSizeError reports a size no scratch disk can have.
type ScratchSizeError struct{ SizeBytes int64 }

func (e *ScratchSizeError) Error() string {
	if e.SizeBytes < MinScratchBytes {
		return fmt.Sprintf("a writable layer of %s is too small: the least that works is %s",
			sizeText(e.SizeBytes), sizeText(MinScratchBytes))
	}
	return fmt.Sprintf("a writable layer of %s is too large: the most is %s",
		sizeText(e.SizeBytes), sizeText(MaxScratchBytes))
}

// scratchSize checks a wanted size and returns the one to use.
func scratchSize(want int64) (int64, error) {
	if want == 0 {
		return DefaultScratchBytes, nil
	}
	if want < MinScratchBytes || want > MaxScratchBytes {
		return 0, &ScratchSizeError{SizeBytes: want}
	}
	return (want + scratchUnit - 1) / scratchUnit * scratchUnit, nil
}

// ScratchUsage returns the bytes a container has written to its scratch disk:
// what the disk takes on the host, less what a fresh one does. cacheDir is the
// one the disk was made with.
func ScratchUsage(path, cacheDir string) (int64, error) {
	used, err := allocated(path)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	for _, ephemeral := range []bool{false, true} {
		if fresh, err := allocated(basePath(cacheDir, info.Size(), ephemeral)); err == nil {
			return max(used-fresh, 0), nil
		}
	}
	return used, nil
}

func basePath(cacheDir string, size int64, ephemeral bool) string {
	kind := "journal"
	if ephemeral {
		kind = "nojournal"
	}
	return filepath.Join(cacheDir, fmt.Sprintf("scratch-v%d-%d-%s.ext4", scratchVersion, size, kind))
}

// formatBase makes a formatted disk for copying. Processes that make the same
// one at once each make their own; the last to finish stays.
func formatBase(ctx context.Context, base string, size int64, ephemeral bool) error {
	mke2fs, err := findTool("mke2fs")
	if err != nil {
		return &MissingToolError{Tool: "mke2fs", Package: "e2fsprogs"}
	}
	debugfs, err := findTool("debugfs")
	if err != nil {
		return &MissingToolError{Tool: "debugfs", Package: "e2fsprogs"}
	}
	sweepBases(filepath.Dir(base))
	err = publish(base, true, func(f *os.File) error {
		if err := f.Truncate(size); err != nil {
			return fmt.Errorf("set the size: %w", err)
		}
		cmd := exec.CommandContext(ctx, mke2fs, mke2fsArgs(f.Name(), size, ephemeral)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		if output, err := runTool(cmd, nil); err != nil {
			if diskFull(err, output) {
				return unix.ENOSPC
			}
			return fmt.Errorf("mke2fs: %w", toolError(ctx, err, output))
		}
		// mke2fs -d would make these directories belong to whoever runs it;
		// debugfs makes them root's.
		cmd = exec.CommandContext(ctx, debugfs, "-w", "-f", "-", f.Name())
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		cmd.Stdin = strings.NewReader("mkdir " + ScratchUpper + "\nmkdir " + ScratchWork + "\n")
		output, err := runTool(cmd, nil)
		if err != nil {
			return fmt.Errorf("debugfs: %w", toolError(ctx, err, output))
		}
		// Its exit status says nothing of the commands; it echoes them after
		// "debugfs:" and writes complaints on lines of their own.
		for line := range strings.Lines(output) {
			if !strings.HasPrefix(line, "debugfs") {
				return fmt.Errorf("debugfs: %s", strings.TrimSpace(line))
			}
		}
		return nil
	})
	return scratchError("formatting a scratch disk of "+sizeText(size), base, err)
}

// sweepBases deletes what killed formattings left: formatting takes no minute.
func sweepBases(cacheDir string) {
	left, _ := filepath.Glob(filepath.Join(cacheDir, ".scratch-*"+tempSuffix))
	for _, path := range left {
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Minute {
			os.Remove(path)
		}
	}
}

// mke2fsArgs are the arguments that format the file at path, size bytes long.
func mke2fsArgs(path string, size int64, ephemeral bool) []string {
	features, journal := scratchFeatures+",has_journal", "size=16"
	if size < smallScratchBytes {
		journal = "size=4"
	}
	args := []string{
		"-q", "-F",
		"-b", "4096",
		"-I", "256",
		"-i", "16384", // bytes per inode; tables stay holes until used
		"-m", "0", // nothing is reserved for root: everybody may be root
		// The file is all holes, so inode tables and journal are zero already;
		// mke2fs notes that, and the guest does not zero them either.
		"-E", "num_backup_sb=0,lazy_journal_init=1,root_owner=0:0",
	}
	if ephemeral {
		features = scratchFeatures
	} else {
		args = append(args, "-J", journal)
	}
	return append(args, "-O", features, path)
}

// publish makes a file through write under a passing name, syncs it when asked
// to, and gives it its name; a failure leaves nothing.
func publish(path string, sync bool, write func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"+tempSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = os.Rename(f.Name(), path)
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if sync {
		return f.Sync()
	}
	return nil
}

// scratchError names the step and the disk in err, if it is one.
func scratchError(what, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case diskFull(err, ""):
		return noSpace(what, filepath.Dir(path), 0)
	case errors.Is(err, unix.EFBIG):
		return fmt.Errorf("%s: the file system of %s cannot hold a file that large", what, filepath.Dir(path))
	}
	return fmt.Errorf("%s: %w", what, err)
}
