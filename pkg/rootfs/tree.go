package rootfs

import (
	"context"
	"io/fs"
	"path/filepath"
	"syscall"
)

// tree is what a directory tree will take as an EROFS file, roughly.
type tree struct {
	bytes    int64
	files    int64
	longName string // a path whose last part mkfs.erofs 1.5 cannot keep; "" is none
}

// Sizes that go into the estimate: file data fills whole blocks but for a tail
// that sits beside the inode; a name and its inode take about this much.
const (
	erofsBlock     = 4096
	erofsPerFile   = 128
	erofsOverhead  = 1 << 20
	erofsLongName  = 255  // bytes: longest name of Linux, one more than mkfs.erofs 1.5 keeps
	ctxCheckPeriod = 1024 // files between looks at the context
)

// measureTree walks the tree at root. The estimate is a few per cent too high,
// which is what both a check for free space and a progress bar want.
func measureTree(ctx context.Context, root string) (tree, error) {
	t := tree{bytes: erofsOverhead}
	seen := make(map[[2]uint64]bool) // hard links are stored once
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		t.files++
		if t.files%ctxCheckPeriod == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.bytes += erofsPerFile + int64(len(d.Name()))
		if len(d.Name()) >= erofsLongName && t.longName == "" {
			t.longName = path
		}
		if !d.Type().IsRegular() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			key := [2]uint64{st.Dev, st.Ino}
			if seen[key] {
				return nil
			}
			seen[key] = true
		}
		t.bytes += (info.Size() + erofsBlock - 1) / erofsBlock * erofsBlock
		return nil
	})
	return t, err
}
