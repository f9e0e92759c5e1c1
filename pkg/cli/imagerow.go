package cli

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/docker/go-units"

	"vpod/pkg/engine"
)

// imageEntry is one image as `images --format json` prints it; the keys are
// Podman's. Sizes are bytes.
type imageEntry struct {
	ID          string `json:"Id"`
	ParentID    string `json:"ParentId"`
	RepoTags    []string
	RepoDigests []string
	Size        int64
	SharedSize  int64
	VirtualSize int64
	Labels      map[string]string
	Containers  int
	ReadOnly    bool     `json:",omitempty"`
	Dangling    bool     `json:",omitempty"`
	Names       []string `json:",omitempty"`
	Digest      string
	History     []string
	Created     int64 // seconds since 1970
	CreatedAt   string
}

func newImageEntry(s engine.ImageSummary, users map[string]int) imageEntry {
	return imageEntry{
		ID: s.ID, ParentID: s.ParentID,
		RepoTags: s.Names, RepoDigests: s.RepoDigests,
		Size: s.SizeBytes, VirtualSize: s.SizeBytes,
		Labels: s.Labels, Containers: users[s.ID] + s.Foreign,
		ReadOnly: s.ReadOnly, Dangling: s.Dangling,
		Names: s.Names, Digest: s.Digest, History: s.NamesHistory,
		Created: s.Created.Unix(), CreatedAt: s.Created.UTC().Format(time.RFC3339),
	}
}

// imagesJSON is what --format json prints: one entry per image, never null.
func imagesJSON(list []engine.ImageSummary, users map[string]int, key string) []imageEntry {
	out := make([]imageEntry, 0, len(list))
	rows := newImageRows(list, users, time.Time{}, true)
	sortImageRows(rows, key)
	seen := map[string]bool{}
	for _, r := range rows {
		if !seen[r.entry.ID] {
			out = append(out, r.entry)
		}
		seen[r.entry.ID] = true
	}
	return out
}

// imageRow is one name of an image, as templates see it; see podman-images(1),
// "--format".
type imageRow struct {
	Repository string
	Tag        string

	entry   imageEntry
	created time.Time
	now     time.Time
	noTrunc bool
}

// noName stands for a name or tag that an image has not.
const noName = "<none>"

// newImageRows makes a row of each name, and one of each image without a name.
func newImageRows(list []engine.ImageSummary, users map[string]int, now time.Time, noTrunc bool) []imageRow {
	var rows []imageRow
	for _, s := range list {
		row := imageRow{Repository: noName, Tag: noName, entry: newImageEntry(s, users), created: s.Created, now: now, noTrunc: noTrunc}
		if len(s.Names) == 0 {
			rows = append(rows, row)
		}
		for _, name := range s.Names {
			row.Repository, row.Tag = splitName(name)
			rows = append(rows, row)
		}
	}
	return rows
}

// splitName divides a reference into repository and tag.
func splitName(name string) (repository, tag string) {
	if repository, _, ok := strings.Cut(name, "@"); ok {
		return repository, noName
	}
	if i := strings.LastIndex(name, ":"); i > strings.LastIndex(name, "/") {
		return name[:i], name[i+1:]
	}
	return name, noName
}

func (r imageRow) ID() string {
	if r.noTrunc {
		return "sha256:" + r.entry.ID
	}
	return shortID(r.entry.ID)
}

func (r imageRow) Id() string            { return r.entry.ID } //nolint:revive,staticcheck // Podman's name for it
func (r imageRow) Digest() string        { return r.entry.Digest }
func (r imageRow) Created() string       { return ago(r.now, r.created) }
func (r imageRow) CreatedSince() string  { return ago(r.now, r.created) }
func (r imageRow) CreatedAt() string     { return r.created.UTC().String() }
func (r imageRow) CreatedTime() string   { return r.created.UTC().String() }
func (r imageRow) Labels() labelMap      { return r.entry.Labels }
func (r imageRow) Containers() int       { return r.entry.Containers }
func (r imageRow) Dangling() bool        { return r.entry.Dangling }
func (r imageRow) ReadOnly() bool        { return r.entry.ReadOnly }
func (r imageRow) Names() []string       { return r.entry.Names }
func (r imageRow) RepoTags() []string    { return r.entry.RepoTags }
func (r imageRow) RepoDigests() []string { return r.entry.RepoDigests }
func (r imageRow) VirtualSize() int64    { return r.entry.VirtualSize }

// History is all names the image has or had.
func (r imageRow) History() string {
	if len(r.entry.History) == 0 {
		return noName
	}
	return strings.Join(r.entry.History, ", ")
}

// Size is the size for people, as "1.99 MB".
func (r imageRow) Size() string { return humanSize(r.entry.Size) }

// humanSize is a number of bytes as Podman's lists of images show it.
func humanSize(bytes int64) string {
	s := units.HumanSizeWithPrecision(float64(bytes), 3)
	i := strings.LastIndexFunc(s, unicode.IsNumber)
	return s[:i+1] + " " + s[i+1:]
}

// imageHeadingFields names what an imageRow's templates may use, for headings.
type imageHeadingFields struct {
	Repository, Tag, ID, Id, Digest, Created, CreatedSince, CreatedAt, CreatedTime, Size, VirtualSize string //nolint:revive,staticcheck // Podman's names
	Labels, Containers, Dangling, ReadOnly, Names, RepoTags, RepoDigests, History                     string
}

var imageHeadings = map[string]string{"ID": "image id", "Id": "image id", "CreatedSince": "created", "ReadOnly": "r/o"}

// imageColumns is the default template. readOnly adds the column that tells
// images of additional stores.
func imageColumns(digests, history, readOnly bool) string {
	columns := `{{range .}}{{.Repository}}\t{{.Tag}}\t`
	if digests {
		columns += `{{.Digest}}\t`
	}
	columns += `{{.ID}}\t{{.CreatedSince}}\t{{.Size}}`
	if history {
		columns += `\t{{.History}}`
	}
	if readOnly {
		columns += `\t{{.ReadOnly}}`
	}
	return columns + "\n{{end -}}"
}

var imageSortKeys = []string{"created", "id", "repository", "size", "tag"}

// sortImageRows sorts by a key of imageSortKeys: by age the newest first.
func sortImageRows(rows []imageRow, key string) {
	by := map[string]func(a, b imageRow) int{
		"created":    func(a, b imageRow) int { return b.created.Compare(a.created) },
		"id":         func(a, b imageRow) int { return strings.Compare(a.entry.ID, b.entry.ID) },
		"repository": func(a, b imageRow) int { return strings.Compare(a.Repository, b.Repository) },
		"tag":        func(a, b imageRow) int { return strings.Compare(a.Tag, b.Tag) },
		"size":       func(a, b imageRow) int { return int(min(max(a.entry.Size-b.entry.Size, -1), 1)) },
	}
	slices.SortStableFunc(rows, by[key])
}
