package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"

	"vpod/pkg/filelock"
	"vpod/pkg/monitor"
	"vpod/pkg/paths"
)

// vpod as an OCI runtime (`vpod oci`, vpod-oci): other engines make bundles, vpod
// runs each in a machine of its own. Such containers are not in vpod's database:
// all there is of one is a directory below the runtime's root, named by its id. How
// it goes is in docs/design/oci-runtime.md.

// ErrNoOCIContainer reports an id that the runtime does not know.
var ErrNoOCIContainer = errors.New("container does not exist")

// OCIRuntime is the runtime over one root directory.
type OCIRuntime struct {
	eng  *Engine
	root string
}

// OCIRuntime returns the runtime that keeps its containers below root; "" is the
// user's own place for them, which a reboot empties.
func (e *Engine) OCIRuntime(root string) (*OCIRuntime, error) {
	if root == "" {
		root = defaultOCIRoot(getenv("XDG_RUNTIME_DIR"), os.Geteuid() != 0 || !allIDs("/proc/self/uid_map"))
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("runtime's root: %w", err)
	}
	return &OCIRuntime{eng: e, root: root}, nil
}

// defaultOCIRoot is where containers are kept unasked, below the user's run
// directory. Callers pass on little of their environment, so whether this is an
// ordinary user's is not to be told from that.
func defaultOCIRoot(runDir string, ordinary bool) string {
	switch {
	case !ordinary:
		return "/run/vpod-oci"
	case runDir != "":
		return filepath.Join(runDir, "vpod-oci")
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("vpod-oci-%d", realUID()))
}

// allIDs reports whether a map of ids is that of no user namespace: every id is
// itself.
func allIDs(path string) bool {
	b, err := os.ReadFile(path)
	return err == nil && slices.Equal(strings.Fields(string(b)), []string{"0", "0", "4294967295"})
}

// Root is the directory the containers are below.
func (r *OCIRuntime) Root() string { return r.root }

// ociRecord is what the runtime keeps of a container, in state.json.
type ociRecord struct {
	ID          string            `json:"id"`
	Bundle      string            `json:"bundle"`
	Rootfs      string            `json:"rootfs"`
	PID         int               `json:"pid"` // of the shim
	Created     time.Time         `json:"created"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// OCIState is a container as `state` and `list` show it: the state of runtime-spec
// and what runc adds.
type OCIState struct {
	specs.State
	Rootfs  string    `json:"rootfs"`
	Created time.Time `json:"created"`
	Owner   string    `json:"owner"`
}

// ociDir are the files of one container.
type ociDir string

func (r *OCIRuntime) dir(id string) ociDir { return ociDir(filepath.Join(r.root, id)) }

func (d ociDir) record() string { return filepath.Join(string(d), "state.json") }
func (d ociDir) tree() string   { return filepath.Join(string(d), "tree") }
func (d ociDir) start() string  { return filepath.Join(string(d), "start.sock") }
func (d ociDir) files() paths.Container {
	return paths.Container{Data: filepath.Join(string(d), "data"), Run: filepath.Join(string(d), "run")}
}

// ociIDs are the names that are taken, runc's; each becomes a directory's.
var ociIDs = regexp.MustCompile(`^[\w+.-]{1,200}$`)

func checkOCIID(id string) error {
	if !ociIDs.MatchString(id) || id == "." || id == ".." {
		return fmt.Errorf("container id %q: up to 200 letters, digits and any of _+-. make one", id)
	}
	return nil
}

// agentID is the name by which monitor and agent know the container.
func agentID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// load reads a container's record.
func (r *OCIRuntime) load(id string) (ociRecord, error) {
	var rec ociRecord
	if err := checkOCIID(id); err != nil {
		return rec, err
	}
	b, err := os.ReadFile(r.dir(id).record())
	if errors.Is(err, fs.ErrNotExist) {
		return rec, fmt.Errorf("container %q: %w", id, ErrNoOCIContainer)
	}
	if err != nil {
		return rec, fmt.Errorf("container %q: %w", id, err)
	}
	if err := json.Unmarshal(b, &rec); err != nil {
		return rec, fmt.Errorf("container %q: read %s: %w", id, r.dir(id).record(), err)
	}
	return rec, nil
}

// save writes a container's record.
func (r *OCIRuntime) save(rec ociRecord) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("container %q: %w", rec.ID, err)
	}
	name := r.dir(rec.ID).record()
	if err := os.WriteFile(name+".tmp", b, 0o600); err != nil {
		return fmt.Errorf("container %q: %w", rec.ID, err)
	}
	return os.Rename(name+".tmp", name)
}

// status says what holds now: the liveness lock tells whether there is a machine,
// the monitor's own words whether the process has been started.
func (r *OCIRuntime) status(rec ociRecord) (specs.ContainerState, error) {
	if rec.PID == 0 {
		return specs.StateCreating, nil
	}
	files := r.dir(rec.ID).files()
	held, err := filelock.Held(files.LiveLock())
	if err != nil {
		return "", fmt.Errorf("container %q: %w", rec.ID, err)
	}
	if !held {
		return specs.StateStopped, nil
	}
	s, err := readStatus(files)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return specs.StateStopped, nil // it is about to let go of the lock
	case err != nil:
		return "", fmt.Errorf("container %q: %w", rec.ID, err)
	case s.StartedAt.IsZero():
		return specs.StateCreated, nil
	}
	return specs.StateRunning, nil
}

// State describes a container.
func (r *OCIRuntime) State(_ context.Context, id string) (OCIState, error) {
	rec, err := r.load(id)
	if err != nil {
		return OCIState{}, err
	}
	status, err := r.status(rec)
	if err != nil {
		return OCIState{}, err
	}
	s := OCIState{
		State: specs.State{
			Version: specs.Version, ID: rec.ID, Status: status, Bundle: rec.Bundle, Annotations: rec.Annotations,
		},
		Rootfs: rec.Rootfs, Created: rec.Created, Owner: ociOwner(r.dir(id)),
	}
	if status == specs.StateCreated || status == specs.StateRunning {
		s.Pid = rec.PID
	}
	return s, nil
}

// List describes all containers, by id. One that goes away meanwhile is left out.
func (r *OCIRuntime) List(ctx context.Context) ([]OCIState, error) {
	entries, err := os.ReadDir(r.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	list := []OCIState{}
	for _, entry := range entries {
		s, err := r.State(ctx, entry.Name())
		if errors.Is(err, ErrNoOCIContainer) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b OCIState) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// monitorGone turns the monitor's absence into the runtime's words.
func monitorGone(id string, err error) error {
	if errors.Is(err, monitor.ErrGone) {
		return fmt.Errorf("container %q: container not running", id)
	}
	if err != nil {
		return fmt.Errorf("container %q: %w", id, err)
	}
	return nil
}
