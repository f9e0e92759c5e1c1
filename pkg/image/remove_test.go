package image

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func TestRemove(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	if err := s.Tag(t.Context(), "demo:1", "second", "third"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(t.Context(), []string{img.ID[:12]}, RemoveOptions{}); err == nil {
		t.Error("removed by id an image with three names")
	}
	got, err := s.Remove(t.Context(), []string{"second", "nosuch", "third"}, RemoveOptions{})
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("with an unknown name among them: %v", err)
	}
	want := []Removal{{ID: img.ID, Untagged: []string{"localhost/second:latest", "localhost/third:latest"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Remove\n have %+v\n want %+v", got, want)
	}
	got, err = s.Remove(t.Context(), []string{"demo:1"}, RemoveOptions{})
	want = []Removal{{ID: img.ID, Untagged: []string{"localhost/demo:1"}, Deleted: true}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Remove\n have %+v, %v\n want %+v", got, err, want)
	}
	if got, err := s.Remove(t.Context(), []string{"demo:1"}, RemoveOptions{Ignore: true}); err != nil || len(got) != 0 {
		t.Errorf("Remove of nothing, ignored: %v, %v", got, err)
	}
}

func TestRemoveForcedByID(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	if err := s.Tag(t.Context(), "demo:1", "second"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Remove(t.Context(), []string{img.ID}, RemoveOptions{Force: true})
	if err != nil || len(got) != 1 || !got[0].Deleted || len(got[0].Untagged) != 2 {
		t.Errorf("Remove = %+v, %v", got, err)
	}
}

func TestRemoveUsed(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	var containers = []string{"0123456789ab"}
	opts := RemoveOptions{
		InUse: func(_ context.Context, id string) ([]string, error) {
			if id != img.ID {
				return nil, nil
			}
			return containers, nil
		},
		RemoveContainers: func(context.Context, string) error { containers = nil; return nil },
	}
	if err := s.Tag(t.Context(), "demo:1", "second"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(t.Context(), []string{"second"}, opts); err != nil {
		t.Errorf("taking a name from a used image: %v", err)
	}
	got, err := s.Remove(t.Context(), []string{"demo:1"}, opts)
	if !errors.Is(err, ErrInUse) || len(got) != 0 {
		t.Errorf("Remove of a used image = %v, %v", got, err)
	}
	wantErr(t, err, "used by 0123456789ab: image is in use by a container")
	if _, err := s.Remove(t.Context(), nil, RemoveOptions{All: true, InUse: opts.InUse}); !errors.Is(err, ErrInUse) {
		t.Errorf("Remove of all: %v", err)
	}
	opts.Force = true
	got, err = s.Remove(t.Context(), []string{"demo:1"}, opts)
	if err != nil || len(got) != 1 || !got[0].Deleted || containers != nil {
		t.Errorf("forced: %+v, %v, containers %v", got, err, containers)
	}
}

// A container of Podman's keeps its image, whatever vpod is told.
func TestRemoveUsedByOthers(t *testing.T) {
	s := newStore(t, "vfs")
	img := pullDemo(t, s, "localhost/demo:1")
	c, err := s.store.CreateContainer("", []string{"podmans"}, img.ID, "", `{"image-name":"x"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		_, err := s.Remove(t.Context(), []string{"demo:1"}, RemoveOptions{Force: force})
		if !errors.Is(err, ErrInUse) {
			t.Errorf("force %t: %v", force, err)
		}
		wantErr(t, err, "podmans")
	}
	if _, err := s.store.Container(c.ID); err != nil {
		t.Errorf("the other tool's container: %v", err)
	}
	if err := s.DeleteLayer(t.Context(), c.ID); err == nil {
		t.Error("DeleteLayer deleted another tool's container")
	}
}

// Parents without a name go with the last image built on them, unless a container
// uses them.
func TestRemoveParents(t *testing.T) {
	for _, used := range []bool{false, true} {
		s := newStore(t, "vfs")
		base := demoImage("localhost/base:1")
		child := demoImage("localhost/child:1")
		child.layers = append(child.layers, []entry{{name: "more", data: "more"}})
		for _, img := range []testImage{base, child} {
			if _, err := s.Load(t.Context(), writeLayout(t, img), nil); err != nil {
				t.Fatal(err)
			}
		}
		b, err := s.Lookup(t.Context(), "base:1")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Untag(t.Context(), "base:1"); err != nil {
			t.Fatal(err)
		}
		got, err := s.Remove(t.Context(), []string{"child:1"}, RemoveOptions{
			InUse: func(_ context.Context, id string) ([]string, error) {
				if used && id == b.ID {
					return []string{"c"}, nil
				}
				return nil, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		gone := slices.ContainsFunc(got, func(r Removal) bool { return r.ID == b.ID && r.Deleted })
		if gone == used {
			t.Errorf("parent used %t: removed %+v", used, got)
		}
	}
}

func TestRemoveAll(t *testing.T) {
	s := newStore(t, "vfs")
	pullDemo(t, s, "localhost/demo:1")
	other := testImage{ref: "localhost/other:1", layers: [][]entry{{{name: "x", data: "x"}}}}
	if _, err := s.Load(t.Context(), writeLayout(t, other), nil); err != nil {
		t.Fatal(err)
	}
	got, err := s.Remove(t.Context(), nil, RemoveOptions{All: true})
	if err != nil || len(got) != 2 {
		t.Errorf("Remove of all = %+v, %v", got, err)
	}
	if _, err := s.Remove(t.Context(), []string{"x"}, RemoveOptions{All: true}); err == nil {
		t.Error("took both names and all")
	}
	if layers, err := s.store.Layers(); err != nil || len(layers) != 0 {
		t.Errorf("layers left: %v, %v", layers, err)
	}
}
