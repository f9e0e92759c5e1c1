package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"vpod/pkg/agentproto"
	"vpod/pkg/container"
)

// ChangeKind is what has become of a path.
type ChangeKind byte

// The kinds, as `diff` prints them.
const (
	ChangeModified ChangeKind = agentproto.ChangeModified
	ChangeAdded    ChangeKind = agentproto.ChangeAdded
	ChangeDeleted  ChangeKind = agentproto.ChangeDeleted
)

// Change is one difference between a container's files and its image's. The path is
// the guest's word.
type Change struct {
	Kind ChangeKind
	Path string // absolute
}

// Diff lists what a container has changed of its image, in the order of a walk through
// the tree, without what is made in every container.
func (e *Engine) Diff(ctx context.Context, nameOrID string) ([]Change, error) {
	var changes []Change
	err := e.readTree(ctx, "diff", nameOrID, agentproto.TreeRequest{Kind: agentproto.TreeChanges}, func(_ container.Container, tree io.Reader) (err error) {
		changes, err = readChanges(tree)
		return err
	})
	return changes, err
}

// DiffImage lists what the top layer of an image changes of those below it, or what
// the image changes of another one when that is named.
func (e *Engine) DiffImage(ctx context.Context, name, other string) ([]Change, error) {
	if err := e.enterStore(); err != nil {
		return nil, err
	}
	all, err := e.images().Diff(ctx, name, other)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, c := range all {
		if path := c[1:]; !madeEverywhere(path) {
			changes = append(changes, Change{ChangeKind(c[0]), path})
		}
	}
	slices.SortStableFunc(changes, inWalkOrder)
	return changes, nil
}

// Bounds of what a guest may say it has changed.
const (
	maxChanges     = 1_000_000
	maxChangeBytes = 256 << 20
)

// readChanges reads the records of agentproto.TreeChanges, bounds them and puts them
// in order.
func readChanges(r io.Reader) ([]Change, error) {
	var changes []Change
	total := 0
	records := bufio.NewReaderSize(r, agentproto.MaxPath+8)
	for {
		record, err := records.ReadSlice(0)
		switch {
		case errors.Is(err, io.EOF) && len(record) == 0:
			slices.SortStableFunc(changes, inWalkOrder)
			return changes, nil
		case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
			return nil, errors.New("the guest's list of changes is damaged")
		case err != nil:
			return nil, err
		}
		if len(record) < 3 || record[1] != '/' || !strings.ContainsRune("CAD", rune(record[0])) {
			return nil, errors.New("the guest's list of changes is damaged")
		}
		c := Change{Kind: ChangeKind(record[0]), Path: string(record[1 : len(record)-1])}
		if madeEverywhere(c.Path) {
			continue
		}
		if total += len(c.Path); len(changes) == maxChanges || total > maxChangeBytes {
			return nil, fmt.Errorf("more than %d files, or %d MiB of their names, have changed", maxChanges, maxChangeBytes>>20)
		}
		changes = append(changes, c)
	}
}

// inWalkOrder compares as a walk through the tree goes: what is in a directory comes
// right after it.
func inWalkOrder(a, b Change) int {
	return strings.Compare(strings.ReplaceAll(a.Path, "/", "\x00"), strings.ReplaceAll(b.Path, "/", "\x00"))
}

// madeEverywhere reports whether a path is made in every container, and its change not
// the container's own. It is Podman's list (libpod/diff.go, initInodes).
func madeEverywhere(path string) bool {
	switch path {
	case "/dev", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/run", "/run/notify",
		"/run/.containerenv", "/run/secrets", "/sys", "/etc/mtab":
		return true
	}
	return false
}
