package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/docker/go-units"

	"vpod/pkg/container"
	"vpod/pkg/engine"
)

// psEntry is one container as `ps --format json` prints it. The keys are
// Podman's; those about what vpod has not are always empty. Times are seconds
// since 1970.
type psEntry struct {
	AutoRemove bool
	Command    []string
	CreatedAt  string // for people, as "2 hours ago"
	Exited     bool
	ExitedAt   int64
	ExitCode   int
	ID         string `json:"Id"`
	Image      string
	ImageID    string
	IsInfra    bool
	Labels     map[string]string
	Mounts     []string
	Names      []string
	Namespaces struct{}
	Networks   []string
	Pid        int // of QEMU: the process the host sees
	Pod        string
	PodName    string
	Ports      []container.PortMapping
	Restarts   int
	Size       *psSize
	StartedAt  int64
	State      string
	Status     string
	Created    int64
}

// psSize is the Size of a psEntry, in bytes.
type psSize struct {
	RootFsSize int64 `json:"rootFsSize"`
	RwSize     int64 `json:"rwSize"`
}

// psRow is what templates see: the fields of an entry that are not shadowed by a
// method of the same name, and the methods.
type psRow struct {
	psEntry
	created time.Time
	now     time.Time
	noTrunc bool
}

// newPsRows makes rows of containers. Ages are counted from now.
func newPsRows(list []engine.Listed, now time.Time, noTrunc bool) []psRow {
	rows := make([]psRow, 0, len(list))
	for _, l := range list {
		rows = append(rows, psRow{psEntry: newPsEntry(l, now), created: l.Spec.Created, now: now, noTrunc: noTrunc})
	}
	return rows
}

func newPsEntry(l engine.Listed, now time.Time) psEntry {
	e := psEntry{
		AutoRemove: l.Spec.AutoRemove,
		Command:    l.Spec.Process.Command,
		CreatedAt:  ago(now, l.Spec.Created),
		Exited:     l.Record.State == container.Exited,
		ExitedAt:   l.Record.FinishedAt.Unix(),
		ExitCode:   l.Record.ExitCode,
		ID:         l.Spec.ID,
		Image:      l.Spec.Image.Name,
		ImageID:    l.Spec.Image.ID,
		Labels:     l.Spec.Labels,
		Mounts:     mountPaths(l.Spec),
		Names:      []string{l.Spec.Name},
		Networks:   []string{string(l.Spec.Network.Mode)},
		Pid:        l.Live.QEMUPID,
		Ports:      l.Spec.Network.Ports,
		Restarts:   max(l.Record.RestartCount, l.Live.RestartCount),
		StartedAt:  startedAt(l).Unix(),
		State:      shownState(l),
		Status:     statusText(l, now),
		Created:    l.Spec.Created.Unix(),
	}
	if len(l.Live.Ports) > 0 { // those the host chose are known there
		e.Ports = l.Live.Ports
	}
	if len(e.Command) == 0 {
		e.Command = l.Spec.Process.Entrypoint
	}
	if l.Size != nil {
		e.Size = &psSize{RootFsSize: l.Size.Root, RwSize: l.Size.Writable}
	}
	return e
}

// mountPaths are the directories in the container that are not its root's.
func mountPaths(spec container.Spec) []string {
	paths := []string{}
	for _, t := range spec.Rootfs.Tmpfs {
		paths = append(paths, t.Path)
	}
	return paths
}

// shownState is the state as it is now: the monitor's word, while there is one.
func shownState(l engine.Listed) string {
	if l.Live.State != "" {
		return l.Live.State
	}
	return string(l.Record.State)
}

func startedAt(l engine.Listed) time.Time {
	if !l.Live.StartedAt.IsZero() {
		return l.Live.StartedAt
	}
	return l.Record.StartedAt
}

// statusText is the STATUS of ps: the state and for how long it has lasted.
func statusText(l engine.Listed, now time.Time) string {
	switch state := shownState(l); state {
	case string(container.Running):
		return "Up " + units.HumanDuration(now.Sub(startedAt(l)))
	case string(container.Exited):
		return fmt.Sprintf("Exited (%d) %s", l.Record.ExitCode, ago(now, l.Record.FinishedAt))
	case "restarting":
		return fmt.Sprintf("Restarting (%d)", l.Record.ExitCode)
	case "":
		return "Unknown"
	default:
		return strings.ToUpper(state[:1]) + state[1:]
	}
}

// ago is how long before now t was.
func ago(now, t time.Time) string { return units.HumanDuration(now.Sub(t)) + " ago" }

// What templates of ps call; see podman-ps(1), "--format".

func (r psRow) ID() string {
	if r.noTrunc {
		return r.psEntry.ID
	}
	return shortID(r.psEntry.ID)
}

func (r psRow) ImageID() string {
	if r.noTrunc {
		return r.psEntry.ImageID
	}
	return shortID(r.psEntry.ImageID)
}

// maxCommand is how much of a command a table shows.
const maxCommand = 17

func (r psRow) Command() string {
	s := strings.Join(r.psEntry.Command, " ")
	if !r.noTrunc && len(s) > maxCommand {
		s = strings.ToValidUTF8(s[:maxCommand], "") + "..."
	}
	return oneLine(s)
}

// oneLine keeps control characters of names and commands, which are the image's
// or the user's, from the terminal.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s)
}

// labelMap prints as "key=value,key=value", sorted.
type labelMap map[string]string

func (m labelMap) String() string {
	return strings.Join(variables(m).list(), ",")
}

func (r psRow) Labels() labelMap     { return r.psEntry.Labels }
func (r psRow) RunningFor() string   { return r.psEntry.CreatedAt }
func (r psRow) CreatedHuman() string { return r.psEntry.CreatedAt }
func (r psRow) CreatedAt() string    { return r.created.String() }
func (r psRow) Created() string      { return r.created.String() }
func (r psRow) Names() string        { return strings.Join(r.psEntry.Names, ",") }
func (r psRow) Networks() string     { return strings.Join(r.psEntry.Networks, ",") }

func (r psRow) Ports() string {
	var out []string
	for _, p := range r.psEntry.Ports {
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

func (r psRow) Size() string {
	if r.psEntry.Size == nil {
		return ""
	}
	return fmt.Sprintf("%s (virtual %s)",
		units.HumanSizeWithPrecision(float64(r.psEntry.Size.RwSize), 3),
		units.HumanSizeWithPrecision(float64(r.psEntry.Size.RootFsSize), 3))
}

// psHeadings are the headings that differ from the fields' names.
var psHeadings = map[string]string{
	"ID": "container id", "ImageID": "image id", "RunningFor": "created", "CreatedHuman": "created",
	"Labels": "labels", "Names": "names", "Networks": "networks", "Ports": "ports", "Size": "size", "Status": "status", "State": "state",
}

// psColumns is the default template.
func psColumns(size bool) string {
	columns := `{{range .}}{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}`
	if size {
		columns += `\t{{.Size}}`
	}
	return columns + "\n{{end -}}"
}

// psJSON is what --format json prints; an empty list, never null.
func psJSON(rows []psRow) []psEntry {
	out := make([]psEntry, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.psEntry)
	}
	return out
}

var psSortKeys = []string{"command", "created", "id", "image", "names", "runningfor", "size", "status"}

// sortPsRows sorts by a key of psSortKeys, ascending; equal rows stay as they
// are, and so do all without a key.
func sortPsRows(rows []psRow, key string) {
	by := map[string]func(a, b psRow) int{
		"command":    func(a, b psRow) int { return strings.Compare(a.Command(), b.Command()) },
		"created":    func(a, b psRow) int { return a.created.Compare(b.created) },
		"id":         func(a, b psRow) int { return strings.Compare(a.psEntry.ID, b.psEntry.ID) },
		"image":      func(a, b psRow) int { return strings.Compare(a.Image, b.Image) },
		"names":      func(a, b psRow) int { return strings.Compare(a.Names(), b.Names()) },
		"runningfor": func(a, b psRow) int { return a.created.Compare(b.created) },
		"size":       func(a, b psRow) int { return compareSize(a, b) },
		"status":     func(a, b psRow) int { return strings.Compare(a.Status, b.Status) },
	}
	if compare := by[key]; compare != nil {
		slices.SortStableFunc(rows, compare)
	}
}

// compareSize puts containers of unknown size first.
func compareSize(a, b psRow) int {
	size := func(r psRow) int64 {
		if r.psEntry.Size == nil {
			return -1
		}
		return r.psEntry.Size.RootFsSize
	}
	return int(min(max(size(a)-size(b), -1), 1))
}
