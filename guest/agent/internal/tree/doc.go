// Package tree reads the files of a container for the host: as an archive, or as the
// list of what it has changed.
//
// Whoever runs in the container may change its tree meanwhile. So nothing is looked up
// by its whole path: directories are held open and entered one by one, links never
// followed, and what is no longer what it was is left out.
package tree

import (
	"context"
	"fmt"
	"io"

	"vpod/pkg/agentproto"
)

// Source is the root file system of a container, as it is mounted in the machine.
type Source struct {
	Merged string // what the container sees
	Lower  string // its image; "" for a shared tree
	Upper  string // what it has changed, an overlay's upper directory; "" for a shared tree
}

// Write writes what kind says of a container's files to w. exclude are absolute paths
// of directories whose content is left out. It ends with ctx, at the next file.
func Write(ctx context.Context, w io.Writer, src Source, kind agentproto.TreeKind, exclude []string) error {
	walk := newWalker(ctx, exclude)
	switch kind {
	case agentproto.TreeMerged:
		return newArchive(w, false).write(walk, src.Merged, "")
	case agentproto.TreeLayer:
		return newArchive(w, true).write(walk, src.Upper, src.Lower)
	case agentproto.TreeChanges:
		return walk.walk(src.Upper, src.Lower, (&changes{w}).add)
	}
	return fmt.Errorf("unknown kind of tree %q", kind)
}

// NeedsLayers reports whether kind is about what a container has changed, which a
// shared tree does not tell.
func NeedsLayers(kind agentproto.TreeKind) bool { return kind != agentproto.TreeMerged }
