package agentproto

// TreeKind says what of a container's files is sent.
type TreeKind string

// The kinds.
const (
	TreeLayer   TreeKind = "layer"   // tar: what the container has changed, as a layer of an OCI image
	TreeMerged  TreeKind = "merged"  // tar: all it sees below its root, without what is mounted there
	TreeChanges TreeKind = "changes" // what it has changed, one Change after another
)

// TreeRequest asks for a container's files. They come after the reply as chunks, see
// ChunkReader. The host keeps its own direction open for as long as it wants them:
// its end calls them off.
type TreeRequest struct {
	Kind TreeKind `json:"kind"`
	// Freeze keeps everybody from writing to the scratch disk until all is sent, the
	// host goes away or takes nothing, or the agent's patience ends.
	Freeze bool `json:"freeze,omitempty"`
	// Exclude are directories, absolute paths, whose content is left out.
	Exclude []string `json:"exclude,omitempty"`

	// Rootfs is assembled for this request alone, in a machine that does not run the
	// container. Without it the container must be there.
	Rootfs  *Rootfs  `json:"rootfs,omitempty"`
	Machine *Machine `json:"machine,omitempty"` // with Rootfs: the time
}

// What has become of a path. A record of TreeChanges is one of these bytes, the
// absolute path, and a zero byte.
const (
	ChangeModified = 'C'
	ChangeAdded    = 'A'
	ChangeDeleted  = 'D'
)

// MaxPath bounds a path in a tree, in bytes (PATH_MAX of Linux).
const MaxPath = 4096
