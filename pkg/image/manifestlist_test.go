package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// entriesOf are "arch/variant os-version annotations" of a list's images.
func entriesOf(t *testing.T, s *Store, name string) []string {
	t.Helper()
	raw, err := s.InspectList(t.Context(), name, Access{})
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Manifests []struct {
			Digest   string
			Platform struct {
				Architecture, Variant string
				OSVersion             string `json:"os.version"`
			}
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range list.Manifests {
		out = append(out, fmt.Sprint(m.Platform.Architecture, "/", m.Platform.Variant, " ", m.Platform.OSVersion, " ", len(m.Annotations)))
	}
	return out
}

func TestManifestList(t *testing.T) {
	s := newStore(t, "vfs")
	ctx := t.Context()
	pullDemo(t, s, "localhost/native:1")
	id, err := s.CreateList(ctx, "list", CreateListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateList(ctx, "list", CreateListOptions{}); err == nil {
		t.Error("a list is made twice")
	}
	if got, err := s.CreateList(ctx, "list", CreateListOptions{Amend: true}); err != nil || got != id {
		t.Errorf("amended: %s, %v, want %s", got, err, id)
	}
	const image = "containers-storage:localhost/native:1"
	entry := ListEntry{Arch: "arm64", Variant: "v8", Annotations: map[string]string{"a": "b"}}
	if _, err := s.AddToList(ctx, "list", []string{image}, AddToListOptions{Entry: entry}); err != nil {
		t.Fatal(err)
	}
	if got, want := entriesOf(t, s, "list"), []string{"arm64/v8  1"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if _, err := s.DescribeInList(ctx, "list", "localhost/native:1", ListEntry{OSVersion: "7"}); err != nil {
		t.Error(err)
	}
	if got, want := entriesOf(t, s, "list"), []string{"arm64/v8 7 1"}; !slices.Equal(got, want) {
		t.Errorf("entries %q, want %q", got, want)
	}
	if _, err := s.RemoveFromList(ctx, "list", "localhost/native:1"); err != nil {
		t.Error(err)
	}
	if _, err := s.RemoveFromList(ctx, "list", "localhost/native:1"); err == nil {
		t.Error("an image that the list has not is removed from it")
	}
	if got := entriesOf(t, s, "list"); len(got) != 0 {
		t.Errorf("entries %q, want none", got)
	}
	if _, err := s.ListExists(ctx, "localhost/native:1"); !errors.Is(err, ErrNotAList) {
		t.Errorf("an image looked up as a list: %v", err)
	}
	if there, err := s.ListExists(ctx, "none"); there || err != nil {
		t.Errorf("a list that is not there: %t, %v", there, err)
	}
}

// A list that cannot be made whole is not left half made.
func TestManifestListWhole(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/native:1")
	_, err := s.CreateList(t.Context(), "list", CreateListOptions{Images: []string{"containers-storage:localhost/native:1", "containers-storage:localhost/none:1"}})
	wantErr(t, err, "localhost/none:1")
	if there, err := s.ListExists(t.Context(), "list"); there || err != nil {
		t.Errorf("the list is there: %t, %v", there, err)
	}
}

// The name of a list means the list, and not the image in it.
func TestRemoveList(t *testing.T) {
	s := newStore(t, "vfs")
	ctx := t.Context()
	native := pullDemo(t, s, "localhost/native:1")
	id, err := s.CreateList(ctx, "list", CreateListOptions{Images: []string{"containers-storage:localhost/native:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(ctx, "list", "other"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(ctx, []string{"localhost/native:1"}, RemoveOptions{Lists: true}); !errors.Is(err, ErrNotAList) {
		t.Errorf("an image removed as a list: %v", err)
	}
	for _, name := range []string{"other", "list"} {
		removed, err := s.Remove(ctx, []string{name}, RemoveOptions{})
		if err != nil || len(removed) != 1 || removed[0].ID != id || removed[0].Deleted != (name == "list") {
			t.Errorf("remove %s: %+v, %v", name, removed, err)
		}
	}
	if found, err := s.Exists(ctx, native.ID); !found || err != nil {
		t.Errorf("the image in the list is there: %t, %v", found, err)
	}
}
